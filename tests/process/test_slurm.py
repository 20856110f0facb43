"""proctor under a real Slurm: three nodes with fake GPUs on this machine (slurm_cluster.py), CPU workers, the scripts of slurm/."""
import json
import os
import shutil
import tempfile
import time
import unittest
from pathlib import Path

import slurm_cluster
from support import BIN, RunCase, TASKS

SCRIPTS = Path(__file__).parents[2] / "slurm"
RUN = f"{BIN}/proctor run {{suite}} --out {{out}} --workers 1 --device cpu --progress none"
SRUN = "srun --mpi=pmix --cpu-bind=none"


class Slurm(RunCase):
    @classmethod
    def setUpClass(cls):
        reason = slurm_cluster.unavailable()
        if reason:
            raise unittest.SkipTest(f"a Slurm cluster cannot be started here: {reason}")
        cls.folder_of_cluster = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")
        cls.cluster = slurm_cluster.SlurmCluster(cls.folder_of_cluster)
        cls.cluster.start()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        shutil.rmtree(cls.folder_of_cluster)

    def setUp(self):
        super().setUp()
        self.many("long", "say", 5000)
        self.write("long.yaml", {**TASKS["say"], "task": "long", "data": {"test": "long.jsonl"}, "generation": {"until": ["\n"], "max_gen_toks": 24}})
        modules = [{**module, "max_batch_tokens": 64} for module in self.suite()["modules"]]
        self.write("long-suite.yaml", self.suite(suite="long", modules=modules, tasks=["choice.yaml", "long.yaml"], machine={"workers": 1}))
        self.run_suite("calm", workers=2)

    def submit(self, script, *arguments, options=(), environment=None):
        """A batch script by its text, or one of slurm/."""
        if isinstance(script, str):
            self.write("job.sh", "#!/bin/bash\n" + script + "\n")
            script = self.root / "job.sh"
        return self.cluster.submit(script, *arguments, options=["--output=job-%j.out", "--open-mode=append", *options], cwd=self.root,
                                   environment={"PATH": f"{BIN}:{os.environ['PATH']}", **(environment or {})})

    def output(self, job):
        return "".join(path.read_text() for path in self.root.glob(f"job-{job}.out"))

    def ended(self, job, state="COMPLETED", code="0:0", timeout=120):
        found = self.cluster.wait(job, timeout=timeout)
        self.assertEqual((found["JobState"], found["ExitCode"]), (state, code), self.output(job))
        return found

    def until_it_works(self, out):
        """Some answers of the long task are durable, and not all."""
        status, deadline = self.root / out / "status.json", time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                pairs = {(p["module"], p["task"]): p for p in json.loads(status.read_text())["pairs"]}
                if 0 < pairs["a", "long"]["done"] < 5000:
                    return
            except (FileNotFoundError, KeyError, json.JSONDecodeError):
                pass
            time.sleep(0.05)
        self.fail(f"{out} never came to work")

    def long_files(self):
        self.run_suite("calm-long", suite="long-suite.yaml", workers=2)
        return self.final_files("calm-long")

    def test_srun_and_mpirun_on_three_nodes_give_the_bytes_of_one_machine(self):
        expected = self.long_files()
        for launcher in (SRUN, "mpirun --map-by ppr:1:node --bind-to none"):
            with self.subTest(launcher=launcher):
                out = launcher.split()[0]
                job = self.submit(f"{launcher} {RUN.format(suite='long-suite.yaml', out=out)}", options=["--nodes=3", "--ntasks-per-node=1"])
                self.ended(job)
                self.assertEqual(self.final_files(out), expected)
                self.assertEqual(len(json.loads((self.root / out / "manifest.json").read_text())["nodes"]), 3)

    def test_usr1_drains_the_job_requeues_itself_and_completes(self):
        expected = self.long_files()
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher=launcher):
                shutil.rmtree(self.root / "runs", ignore_errors=True)
                job = self.submit(SCRIPTS / "evaluate.sbatch", "long-suite.yaml", "--device", "cpu", options=["--nodes=2", "--gpus-per-node=2"],
                                  environment={"PROCTOR_LAUNCHER": launcher})
                self.until_it_works("runs/long")
                self.cluster.slurm("scancel", "--signal=USR1", "--batch", job)
                found = self.ended(job)
                self.assertEqual(found["Restarts"], "1", self.output(job))
                self.assertIn("no new shards", self.output(job))
                self.assertIn("already answered: ", self.output(job))
                self.assertEqual(self.final_files("runs/long"), expected)

    def test_a_usr1_that_comes_at_once_is_not_deadly(self):
        job = self.submit(SCRIPTS / "evaluate.sbatch", "long-suite.yaml", "--device", "cpu", options=["--nodes=2", "--gpus-per-node=2"])
        deadline = time.monotonic() + 60
        while f"{job}.0" not in self.cluster.slurm("squeue", "--noheader", "--steps", "--format=%i", "--jobs", job).split():
            self.assertLess(time.monotonic(), deadline, "the step never began")
            time.sleep(0.02)
        self.cluster.slurm("scancel", "--signal=USR1", "--batch", job)  # its tasks have not come as far as main()
        self.ended(job)

    def test_scancel_and_the_same_command_again(self):
        expected = self.long_files()
        script, options = f"exec {SRUN} {RUN.format(suite='long-suite.yaml', out='cancelled')}", ["--nodes=2", "--ntasks-per-node=1"]
        job = self.submit(script, options=options)
        self.until_it_works("cancelled")
        self.cluster.slurm("scancel", job)
        self.cluster.wait(job, "CANCELLED")
        again = self.submit(script, options=options)
        self.ended(again)
        self.assertIn("already answered: ", self.output(again))
        self.assertEqual(self.final_files("cancelled"), expected)

    def test_the_node_of_rank_0_dies_and_the_requeued_job_takes_over(self):
        expected = self.long_files()
        job = self.submit(f"exec {SRUN} {RUN.format(suite='long-suite.yaml', out='lost')}", options=["--nodes=2", "--ntasks-per-node=1", "--requeue"])
        self.until_it_works("lost")
        node = int(self.cluster.job(job)["BatchHost"][1:])
        self.cluster.kill_node(node)
        self.cluster.declare_down(node)
        found = self.ended(job)
        self.assertEqual(found["Restarts"], "1", self.output(job))
        self.assertEqual(self.final_files("lost"), expected)
        self.cluster.start_node(node)
        self.cluster.slurm("scontrol", "update", f"nodename=n{node}", "state=resume")

    def test_an_array_of_three_suites(self):
        for name in ("x", "y", "z"):
            self.write(f"{name}.yaml", self.suite(suite=name, tasks=["choice.yaml", "say.yaml"], machine={"workers": 1}))
        job = self.submit(SCRIPTS / "array.sbatch", "x.yaml", "y.yaml", "z.yaml", options=["--array=0-2", "--gpus-per-node=1"],
                          environment={"PROCTOR_SLURM": str(SCRIPTS)})
        self.cluster.wait(job)
        self.assertEqual({element["ExitCode"] for element in self.cluster.jobs(job)}, {"0:0"})
        files = [self.final_files(f"runs/{name}-{i}") for i, name in enumerate("xyz")]
        self.assertTrue(files[0])
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_a_heterogeneous_job_is_refused_by_name(self):
        self.write("job.sh", f"#!/bin/bash\n#SBATCH --nodes=1\n#SBATCH hetjob\n#SBATCH --nodes=2\n"
                             f"srun --mpi=pmix --het-group=0,1 {RUN.format(suite='suite.yaml', out='het')}\n")
        job = self.submit(self.root / "job.sh")
        self.cluster.wait(job)
        self.assertIn("heterogeneous Slurm job of 2 components", self.output(job))
        self.assertFalse((self.root / "het").exists())

    def test_srun_without_pmix_is_refused_once_and_nothing_is_written(self):
        job = self.submit(f"srun --mpi=none {RUN.format(suite='suite.yaml', out='none')}", options=["--nodes=3", "--ntasks-per-node=1"])
        self.ended(job, "FAILED", "4:0")
        self.assertEqual(self.output(job).count("started as 3 singletons"), 1, self.output(job))
        self.assertFalse((self.root / "none").exists())

    def test_idle_nodes_are_told(self):
        job = self.submit(RUN.format(suite="suite.yaml", out="one"), options=["--nodes=3", "--ntasks-per-node=1"])
        self.ended(job)
        self.assertIn("this Slurm job has 3 nodes and this run uses one of them", self.output(job))


if __name__ == "__main__":
    unittest.main()
