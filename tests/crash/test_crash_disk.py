"""A disk that is full, a folder that may not be written, or is moved or removed meanwhile."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest
from collect_cases import TABLES, collect, contents, fork, forked, snapshot
from victims import finished, root, silent, slow

from metahpo_lite import MetaDataset
from metahpo_lite.storage import LOG, append, locked, read_log, write_files

resource = pytest.importorskip("resource")  # not on Windows


def told(path, function, *args, **options):
    """Call a function, and write down what error it raises; for a child."""
    try:
        function(*args, **options)
    except BaseException as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        path.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def limited(size, path, function, *args):
    """Call a function in a process that may write no file longer than `size` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    told(path, function, *args)


def error_of(path):
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.unlink(missing_ok=True)
    return text


@fork
def test_no_file_may_be_longer(whole, tmp_path, record_property):
    """No room behind each of 12 sizes: a clear error each time, all that was finished goes on."""
    folder, said, errors = tmp_path / "e", tmp_path / "said", 0
    before = {}
    for size in (0, 1, 200, 1000, 1800, 2500, 4000, 8000, 12000, 16000, 20000, 10**6):
        with silent(), forked(limited, size, said, collect, folder) as process:
            process.join(60)
        assert process.exitcode == 0
        if error := error_of(said):
            errors += 1
            assert error.startswith("OSError: [Errno 27] "), error
            assert " cannot be written: File too large; what was there before is kept" in error
        now = finished(folder)
        assert {key: now[key] for key in before} == before
        assert not list(folder.glob("*.part"))
        before = now
    assert errors >= 8
    assert not error
    assert contents(folder) == contents(whole)
    record_property("full disks", errors)


@contextmanager
def small_disk(place, size):
    """A file system of so many bytes at a place, which root may make."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place])
    if made.returncode:
        pytest.skip("mount is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place, leave=0):
    """Fill a disk but for some bytes; return the file that fills it."""
    stone = place / "stone"
    with open(stone, "wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        file.truncate(max(0, os.fstat(file.fileno()).st_size - leave))
    return stone


@root
@slow
@pytest.mark.parametrize("leave", [0, 4096, 8192, 12288, 20480, 32768, 49152])
def test_a_full_disk(leave, whole, tmp_path, record_property):
    """A tmpfs that is full, or has a few pages left: a clear error; with room again it goes on."""
    with small_disk(tmp_path / "disk", "200k") as disk:
        folder, tables = disk / "e", [TABLES[0]]
        collect(folder, tables)
        first = MetaDataset.load(folder)
        stone = fill(disk, leave)
        told(tmp_path / "said", collect, folder)
        error = error_of(tmp_path / "said")
        assert not error or re.fullmatch(
            rf"OSError: \[Errno 28\] {folder}/\S+ cannot be written: No space left on device; "
            "what was there before is kept", error
        ), error  # fmt: skip
        done = finished(folder)
        loaded = MetaDataset.load(folder)  # what was finished is readable at any moment
        assert loaded.trials.head(len(first.trials)).equals(first.trials)
        assert not list(folder.glob("*.part"))
        stone.unlink()
        collect(folder)
        now = finished(folder)
        assert {key: now[key] for key in done} == done
        assert contents(folder) == contents(whole)
    record_property("full disks", int(bool(error)))


@root
@slow
def test_the_command_on_a_full_disk(tmp_path):
    """The command line on a full tmpfs: one line that says what to do; then it goes on."""
    with small_disk(tmp_path / "disk", "200k") as disk:
        stone = fill(disk, 8192)
        call = [sys.executable, "-m", "metahpo_lite", "collect", "--learner", "svc", "--datasets",
                "iris", "--configs", "40", "--out", str(disk / "e"), "--jobs", "2"]  # fmt: skip
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr, done.stderr
        assert "UserWarning: 4 tasks" not in done.stderr, done.stderr
        assert "No space left on device; what was there before is kept" in done.stderr
        stone.unlink()
        done = subprocess.run(call, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "41 ok" in done.stdout


@root
@slow
def test_a_disk_that_becomes_read_only(whole, tmp_path):
    """A disk that becomes read-only amidst a collection: a clear error; writable, it goes on."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        folder = disk / "e"

        def switch(how, *args):
            subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

        with silent(), forked(told, tmp_path / "said", collect, folder) as process:
            while not (folder / LOG).exists() or (folder / LOG).stat().st_size < 2000:
                pass
            # the log is open: a remount is refused while it is, so the bind mount stands in
            subprocess.run(["mount", "--bind", disk, disk], check=True)
            done = subprocess.run(["mount", "-o", "remount,ro,bind", disk])
            assert done.returncode == 0
            process.join(60)
        error = error_of(tmp_path / "said")
        subprocess.run(["umount", "-l", disk], check=True)
        assert not error or "Read-only file system" in error, error
        collect(folder)
        assert contents(folder) == contents(whole)


def test_a_torn_write_is_taken_back(tmp_path, monkeypatch):
    """A line of the log that only partly fits is taken back; the next one stands whole."""
    folder = tmp_path

    class Narrow:
        """A file that takes ten bytes, then none."""

        def __init__(self, file):
            self.file, self.room = file, 10

        def write(self, data):
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = self.file.write(bytes(data[: self.room]))
            self.room = 0
            return written

        def __getattr__(self, name):
            return getattr(self.file, name)

    with locked(folder / LOG) as log:
        append(log, {"a": 1})
        with pytest.raises(OSError, match=r"collect\.log cannot be written: No space left"):
            append(Narrow(log), {"a": "much that does not fit"})
        append(log, {"a": 2})
        assert read_log(log) == [{"a": 1}, {"a": 2}]


def test_of_two_files_none_is_replaced_before_both_are_written(tmp_path):
    """Two files that belong together, and no room for the second: both are as they were."""
    one, other = tmp_path / "one", tmp_path / "other"
    write_files({one: "1", other: "2"})
    other.with_name("other.part").mkdir()  # where it cannot be written
    with pytest.raises(OSError, match="other cannot be written"):
        write_files({one: "3", other: "4"})
    assert (one.read_text(), other.read_text()) == ("1", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "other.part"]


def as_nobody(path, function, *args):
    """Call a function as a user who owns nothing; root may write everywhere."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    told(path, function, *args)


@pytest.fixture
def public():
    """A folder that everybody may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    said = folder / "said"
    said.mkdir(mode=0o777)
    said.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@fork
@pytest.mark.parametrize("what", ["new", "there", "whole"])
def test_a_folder_that_may_not_be_written(what, whole, public):
    """A folder without the right to write: an error that names it; nothing in it is changed."""
    folder = public / "e"
    if what == "there":
        folder.mkdir()
    elif what == "whole":
        shutil.copytree(whole, folder)
    before = snapshot(folder) if folder.exists() else None
    folder.parent.chmod(0o555)
    if folder.exists():
        folder.chmod(0o555)
    try:
        said = public / "said" / "error"
        with silent(), forked(as_nobody, said, collect, folder) as process:
            process.join(60)
        error = error_of(said)
    finally:
        public.chmod(0o755)
        if folder.exists():
            folder.chmod(0o755)
    assert error.startswith("PermissionError: "), error
    assert str(folder) in error
    assert (snapshot(folder) if folder.exists() else None) == before


@pytest.mark.parametrize("how", ["remove", "move", "replace"])
def test_a_folder_that_goes_meanwhile(how, whole, tmp_path):
    """A folder that is removed, moved or replaced amidst a collection: a clear error at once."""
    folder, other, calls = tmp_path / "e", tmp_path / "f", []

    def gone(task, config, plain):
        calls.append(config)
        if len(calls) == 50:
            shutil.rmtree(folder) if how == "remove" else os.rename(folder, other)
            if how == "replace":
                os.mkdir(folder)
        return plain(task, config)

    with pytest.MonkeyPatch.context() as patch:
        from metahpo_lite.tasks import LiveTask

        plain = LiveTask.evaluate_folds
        patch.setattr(LiveTask, "evaluate_folds", lambda task, config: gone(task, config, plain))
        with pytest.raises(FileNotFoundError, match=r"collect\.log was moved or removed meanwhile"):
            collect(folder)
    assert len(calls) == 50  # and not after a night
    if how == "replace":
        assert list(folder.iterdir()) == []
    if how != "remove":
        assert len(finished(other)) == 49
        collect(other)
        assert contents(other) == contents(whole)
    collect(folder)  # it may begin again
    assert contents(folder) == contents(whole)


@fork
def test_an_experience_is_saved_whole_or_not(whole, tmp_path):
    """MetaDataset.save that no room or a kill ends leaves no folder; the next one is right."""
    mine, said = MetaDataset.load(whole), tmp_path / "said"
    with forked(limited, 500, said, mine.save, tmp_path / "e") as process:
        process.join(60)
    assert "cannot be written: File too large" in error_of(said)
    assert not (tmp_path / "e").exists()

    def die(*args):
        os._exit(9)

    def killed(folder):
        os.rename = die
        mine.save(folder)

    with forked(killed, tmp_path / "e") as process:
        process.join(60)
    assert process.exitcode == 9
    assert not (tmp_path / "e").exists()
    from dataclasses import replace

    plain = replace(mine, meta_features=None)
    plain.save(tmp_path / "e")
    assert MetaDataset.load(tmp_path / "e").meta_features is None  # not those of the killed one
    pd.testing.assert_frame_equal(MetaDataset.load(tmp_path / "e").trials, mine.trials)
