"""A JupyterHub for the course on one machine: see classroom.md, which says what was tried."""

from pathlib import Path

c = get_config()  # noqa: F821

COURSE = Path("/srv/metahpo_lite")  # with its .venv; learners may read it, not write

c.Spawner.cmd = [str(COURSE / "docs/teaching/start_learner.sh")]
c.Spawner.notebook_dir = "~/metahpo_lite"
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.Spawner.args = ["--MappingKernelManager.cull_idle_timeout=1200"]  # kernels idle for 20 minutes
c.Spawner.environment = {
    "OMP_NUM_THREADS": "1",  # thirty learners share the cores; one thread each is the fairest
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
c.Spawner.start_timeout = 120  # seconds: all start at once when the class begins
c.JupyterHub.concurrent_spawn_limit = 8
# Where the spawner can limit (systemdspawner, which TLJH uses, or containers; see classroom.md):
c.Spawner.mem_limit = "2G"
c.Spawner.cpu_limit = 2.0
