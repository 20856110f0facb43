"""What is installed: a wheel in a fresh venv, a prefix that is moved, a proctor on a machine without MPI."""
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import BIN, RunCase

ROOT = Path(__file__).resolve().parents[2]
BUILD = BIN.parent
HAS_BACKEND = importlib.util.find_spec("scikit_build_core") is not None
VERSION = "proctor " + (ROOT / "CMakeLists.txt").read_text().split("project(proctor VERSION ")[1].split()[0]


def said(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **more)
    return done


class Package(RunCase):
    @unittest.skipUnless(HAS_BACKEND, "scikit-build-core is not installed")
    def test_a_wheel_runs_in_a_fresh_venv_from_another_folder(self):
        venv = self.root / "venv"
        said(sys.executable, "-m", "venv", venv)
        site = Path(said(venv / "bin/python", "-c", "import site; print(site.getsitepackages()[0])").stdout.strip())
        # What pip would download: torch, and the backend that builds without isolation.
        (site / "of_the_checks.pth").write_text("\n".join(path for path in sys.path if path.endswith(("site-packages", "torch-2.11.0"))))
        # The compiler cache is wherever the checkout's build has it, not where the tests keep proctor from learning.
        environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
        built = said(venv / "bin/python", "-m", "pip", "install", "--no-build-isolation", "--no-deps", ROOT, env=environment)
        self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
        told = said(venv / "bin/proctor", "--version", cwd=self.root)
        self.assertEqual(told.stdout.splitlines()[0], VERSION, told.stderr)
        self.assertIn("LibTorch: 2.11.0", told.stdout)
        run = said(venv / "bin/proctor", "run", "suite.yaml", "--out", "wheel", "--progress", "none", cwd=self.root)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.run_suite("built")
        self.assertEqual(self.final_files("wheel"), self.final_files("built"))
        rows = said(venv / "bin/python", "-c", "from proctor.results import Run; print(len(Run('wheel').scores()))", cwd=self.root)
        self.assertGreater(int(rows.stdout), 8, rows.stderr)
        mpirun = Path(sys.executable).parent / "mpirun"
        if mpirun.exists():  # Open MPI 5 of the checks' venv, beside the system's 4.1
            environment = {**os.environ, "PATH": f"{mpirun.parent}{os.pathsep}{os.environ['PATH']}", "LD_LIBRARY_PATH": str(mpirun.parent.parent / "lib")}
            ranks = said(mpirun, "-n", "2", "--oversubscribe", venv / "bin/proctor", "run", "suite.yaml", "--out", "mpi5", "--workers", "1", "--progress", "none", cwd=self.root, env=environment)
            self.assertEqual(ranks.returncode, 0, ranks.stdout + ranks.stderr)
            self.assertEqual(self.final_files("mpi5"), self.final_files("built"))

    def test_an_installed_prefix_can_be_moved(self):
        prefix, moved = self.root / "prefix", self.root / "moved"
        done = said("cmake", "--install", BUILD, "--prefix", prefix)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        prefix.rename(moved)
        self.assertEqual(said(moved / "bin/proctor", "--version").stdout.splitlines()[0], VERSION)
        for file in ("lib/proctor/libproctor_mpi.so", "share/man/man1/proctor.1", "share/bash-completion/completions/proctor", "share/zsh/site-functions/_proctor"):
            self.assertTrue((moved / file).exists(), file)
        self.assertEqual(said("bash", "-n", moved / "share/bash-completion/completions/proctor").returncode, 0)
        run = said(moved / "bin/proctor", "run", "suite.yaml", "--out", "moved-run", "--progress", "none", cwd=self.root)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_one_process_needs_no_mpi_and_several_say_what_is_missing(self):
        with tempfile.TemporaryDirectory(prefix="proctor-no-mpi-") as folder:
            for name in ("proctor", "proctor-worker"):
                shutil.copy2(BIN / name, folder)
            proctor = Path(folder) / "proctor"
            run = said(proctor, "run", "suite.yaml", "--out", "alone", "--progress", "none", cwd=self.root)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertIn("MPI: no MPI library", said(proctor, "--version").stdout)
            ranks = said(proctor, "run", "suite.yaml", "--out", "ranks", cwd=self.root, env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"})
            self.assertEqual(ranks.returncode, 4, ranks.stdout + ranks.stderr)
            self.assertIn("several ranks need Open MPI", ranks.stderr)


if __name__ == "__main__":
    unittest.main()
