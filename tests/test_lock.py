"""The lock has one version of each requirement, for each Python and system, with hashes."""

import itertools
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project_files import PROJECT, PYTHONS, ROOT

PLATFORMS = {  # sys_platform, platform_machine, platform_system, os_name
    "linux-x86_64": ("linux", "x86_64", "Linux", "posix"),
    "linux-aarch64": ("linux", "aarch64", "Linux", "posix"),
    "macos-arm64": ("darwin", "arm64", "Darwin", "posix"),
    "windows-amd64": ("win32", "AMD64", "Windows", "nt"),
}


def locked(text):
    """Return the pins with their hashes; every line must be one of three known forms."""
    pins = []
    for number, line in enumerate(text.splitlines(), 1):
        if re.fullmatch(r"[a-z0-9-]+==[^\s;@/]+( ; [^@/]+)? \\", line):
            pins.append((Requirement(line.rstrip(" \\")), []))
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            pins[-1][1].append(line)
        else:
            assert re.fullmatch(r"    # +(via)?( ?[\w-]+)?( \(pyproject\.toml\))?", line), (
                f"requirements.txt, line {number}: {line}"
            )
    return pins


PINS = locked((ROOT / "requirements.txt").read_text(encoding="utf-8"))


def on(python, platform):
    """Return the variables of the markers there."""
    system, machine, name, os_name = PLATFORMS[platform]
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_machine": machine,
        "platform_system": name,
        "os_name": os_name,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def applies(requirement, where):
    return requirement.marker is None or requirement.marker.evaluate(where)


def disagreements(requirements, pins, where):
    """Yield what a lock lacks for these requirements."""
    for requirement in filter(lambda r: applies(r, where), map(Requirement, requirements)):
        name = canonicalize_name(requirement.name)
        found = [pin for pin, _ in pins if pin.name == name and applies(pin, where)]
        if len(found) != 1:
            yield f"{name}: {len(found)} pins"
        elif not requirement.specifier.contains(str(found[0].specifier).removeprefix("==")):
            yield f"{requirement}: the lock has {found[0]}"


@pytest.mark.parametrize(("python", "platform"), list(itertools.product(PYTHONS, PLATFORMS)))
def test_lock_is_current(python, platform):
    extras = PROJECT["optional-dependencies"]
    requirements = sum((extras[e] for e in ("course", "test", "cluster")), PROJECT["dependencies"])
    assert list(disagreements(requirements, PINS, on(python, platform))) == []


def test_a_stale_lock_is_noticed():
    pins = locked("numpy==2.2.0 \\\n    --hash=sha256:" + "0" * 64)
    here = on("3.12", "linux-x86_64")
    assert list(disagreements(["numpy>=2"], pins, here)) == []
    assert len(list(disagreements(["numpy>=2.3", "scipy"], pins, here))) == 2
    with pytest.raises(AssertionError):
        locked("--find-links somewhere")


def test_lock_has_one_pin_at_most_and_hashes():
    assert [str(pin) for pin, hashes in PINS if not hashes] == []
    for python, platform in itertools.product(PYTHONS, PLATFORMS):
        names = [pin.name for pin, _ in PINS if applies(pin, on(python, platform))]
        assert sorted(names) == sorted(set(names))


def test_make_finds_uv_in_the_lock():
    assert len([pin for pin, _ in PINS if pin.name == "uv" and pin.marker is None]) == 1
