"""A Slurm cluster of several "nodes" on this one machine, for tests; standard library and Debian's slurm-wlm only.

Every node is a process namespace with a slurmd as its child: its own host name, processes, /dev/shm, boot id and temporary
folder. So the death of a node is one SIGKILL, and nothing outlives it. No systemd, no munge, nothing under /etc.
"""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel", "squeue", "sinfo", "unshare", "setpriv")
POLL_SECONDS = 0.05
START_SECONDS = 30
STOP_SECONDS = 20
COMMAND_SECONDS = 30
REQUEUE_WAIT_SECONDS = 5  # a requeued job waits this long; Slurm takes no less
NODE_SILENCE_SECONDS = 5  # a silent slurmd is DOWN after this long, and about 10 s more
FOLDER_LENGTH = 70  # of a longer one the names of slurmstepd's sockets are too long, and every job is held at priority 0
KILL_WAIT_SECONDS = 5  # between a job's SIGTERM and its SIGKILL
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")

CONFIGURATION = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
AuthInfo=cred_expire={requeue_wait}
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
TmpFS={folder}/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout={silence}
MessageTimeout={silence}
KillWait={kill_wait}
JobRequeue=1
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=1,bf_interval=1
GresTypes=gpu
"""
NODE = "NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=4000 Gres=gpu:h100:{gpus} State=UNKNOWN\n"
PARTITION = "PartitionName=debug Nodes=ALL Default=YES MaxTime=01:00:00 State=UP\n"

NODE_SCRIPT = """\
hostname "$1" && mount -t tmpfs -o size=1g tmpfs /dev/shm && mount --bind "$2" /etc/hosts && mount --bind "$3" /proc/sys/kernel/random/boot_id || exit
slurmd -D -N "$1" &
wait $!
"""  # the shell stays: as process 1 of the namespace it reaps what slurmd's steps leave


class ClusterError(Exception):
    """Says what was waited for, and what the daemons said last."""


def unavailable():
    """Why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "not root"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"missing: {', '.join(missing)} (apt-get install slurm-wlm)"
    if subprocess.run(["unshare", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode:
        return "unshare --uts --mount --pid is not permitted here"
    return None


def free_ports(count):
    """Ports below the ephemeral range that nobody listens on now."""
    sockets = []
    while len(sockets) < count:
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", random.randrange(20000, 32000)))
            sockets.append(candidate)
        except OSError:
            candidate.close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ended_by_parent(*command):
    """The command, killed by the kernel as soon as this process dies."""
    return ["setpriv", "--pdeathsig", "KILL", *command]


def children(pid):
    """Of every thread of a process; none if it is gone."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in path.read_text().split()]
        except OSError:
            pass
    return found


class SlurmCluster:
    """start(), submit(), wait(), stop(); start() again begins with an empty queue and other ports."""

    def __init__(self, folder, nodes=3, gpus=2):
        self.folder = Path(folder).resolve()
        self.nodes = nodes
        self.gpus = gpus
        self.port = 0  # slurmctld's
        self.daemons = {}  # name -> Popen; of a node: of its unshare

    # --- life

    def start(self):
        """Returns when every node is idle."""
        reason = unavailable()
        if reason:
            raise ClusterError(reason)
        if self.daemons:
            raise ClusterError("already started")
        if len(str(self.folder)) > FOLDER_LENGTH:
            raise ClusterError(f"{self.folder}: more than {FOLDER_LENGTH} characters")
        self._write_files()
        try:
            self._spawn("slurmctld", "slurmctld", "-D", "-i")
            self._until(self._listening, START_SECONDS, "slurmctld listens")  # a slurmd that is earlier tries again a second later
            for i in range(self.nodes):
                self.start_node(i)
            self._until(self._all_idle, START_SECONDS, "all nodes idle")
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Cancels everything, ends the daemons and leaves no process and no mount; the folder stays."""
        if not self.daemons:
            return
        try:
            if self.daemons["slurmctld"].poll() is None:
                self.slurm("scancel", "--user=root", check=False)
                self._until(lambda: not self.queue(), STOP_SECONDS, "an empty queue")
        except (ClusterError, subprocess.TimeoutExpired):
            pass  # what is left is killed with its node
        finally:
            for i in range(self.nodes):
                self.kill_node(i)
            self._end("slurmctld")

    def start_node(self, i):
        """Also a node that was killed."""
        name = f"n{i}"
        if name in self.daemons:
            raise ClusterError(f"{name} is already started")
        boot_id = self.folder / "run" / f"boot-id-{name}"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        self._spawn(name, "unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                    "sh", "-c", NODE_SCRIPT, "sh", name, str(self.folder / "hosts"), str(boot_id))

    def kill_node(self, i):
        """Its slurmd, steps and tasks at once, as when the power fails; Slurm notices after three times NODE_SILENCE_SECONDS."""
        self._end(f"n{i}", by=signal.SIGKILL)

    def declare_down(self, i):
        """What Slurm concludes from a node's silence, now; start_node() and scontrol state=resume bring it back."""
        self.slurm("scontrol", "update", f"nodename=n{i}", "state=down", "reason=test")

    # --- use

    def environment(self):
        """What to merge into os.environ for Slurm's commands, and for Open MPI as root on the loopback."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "OMPI_MCA_btl_tcp_if_include": "lo", "OMPI_MCA_oob_tcp_if_include": "lo",
                "OMPI_MCA_orte_tmpdir_base": str(self.folder / "tmp"), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def slurm(self, *command, check=True, cwd=None, environment=None):
        """What a command says; check: its exit code has to be 0."""
        done = subprocess.run(command, env={**os.environ, **self.environment(), **(environment or {})}, cwd=cwd, capture_output=True, text=True,
                              timeout=COMMAND_SECONDS)
        if check and done.returncode:
            raise ClusterError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}{self.tail()}")
        return done.stdout

    def submit(self, script_path, *args, options=(), cwd=None, environment=None):
        """The id of the new job: sbatch OPTIONS SCRIPT ARGS."""
        return self.slurm("sbatch", "--parsable", *options, str(script_path), *args, cwd=cwd, environment=environment).split(";")[0].strip()

    def job(self, job_id):
        """scontrol's fields of one job."""
        return self.jobs(job_id)[0]

    def jobs(self, job_id):
        """scontrol's fields of every element of an array, or component of a heterogeneous job."""
        lines = self.slurm("scontrol", "show", "job", "--oneliner", str(job_id)).splitlines()
        return [dict(re.findall(r"(?:^|\s)([A-Z][\w:/]*)=(.*?)(?=\s+[A-Z][\w:/]*=|\s*$)", line)) for line in lines if line]

    def queue(self):
        """The ids of the jobs that have not ended."""
        return self.slurm("squeue", "--noheader", "--format=%i").split()

    def wait(self, job_id, states=ENDED, timeout=60):
        """Until every element of the job is in one of the states; scontrol's fields of the first."""
        states = (states,) if isinstance(states, str) else states
        found = []

        def reached():
            found[:] = self.jobs(job_id)
            return all(job["JobState"] in states for job in found)
        self._until(reached, timeout, f"job {job_id} in {', '.join(states)}", lambda: "\n".join(map(str, found)))
        return found[0]

    def tail(self, lines=15):
        """The last lines of every daemon's log."""
        text = ""
        for output in sorted((self.folder / "log").glob("*.out")):
            log = output.with_suffix(".log")  # has the same lines with the time, as soon as slurm.conf is read
            last = (log if log.exists() else output).read_text(errors="replace").splitlines()[-lines:]
            text += f"{output.stem}:\n" + "".join(f"  {line}\n" for line in last)
        return text

    # --- within

    def _write_files(self):
        for name in ("state", "spool", "tmp", "run", "log", "dev"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        host = socket.gethostname().split(".")[0]
        self.port, *node_ports = free_ports(1 + self.nodes)
        text = CONFIGURATION.format(host=host, port=self.port, folder=self.folder, requeue_wait=REQUEUE_WAIT_SECONDS,
                                    silence=NODE_SILENCE_SECONDS, kill_wait=KILL_WAIT_SECONDS)
        for i, node_port in enumerate(node_ports):
            (self.folder / "spool" / f"n{i}").mkdir()
            (self.folder / "tmp" / f"n{i}").mkdir()
            text += NODE.format(i=i, host=host, port=node_port, gpus=self.gpus)
        (self.folder / "slurm.conf").write_text(text + PARTITION)
        (self.folder / "hosts").write_text("127.0.0.1 " + " ".join(["localhost", host, *(f"n{i}" for i in range(self.nodes))]) + "\n")
        for i in range(self.gpus):
            os.mknod(self.folder / "dev" / f"nvidia{i}", 0o020666, os.makedev(1, 3))  # as good a GPU as /dev/null
        gres = "".join(f"Name=gpu Type=h100 File={self.folder}/dev/nvidia{i}\n" for i in range(self.gpus))
        (self.folder / "gres.conf").write_text("AutoDetect=off\n" + gres)

    def _spawn(self, name, *command):
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(ended_by_parent(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                  env={**os.environ, **self.environment()}, start_new_session=True)

    def _end(self, name, by=signal.SIGTERM):
        """Signals a daemon, or the first process of a node, and waits until it is gone with all that is in it."""
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        inside = children(daemon.pid) if name != "slurmctld" else []
        for number in (by, signal.SIGKILL):
            for pid in [*inside, daemon.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            try:
                daemon.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass
        raise ClusterError(f"{name} (process {daemon.pid}) does not end\n{self.tail()}")

    def _check_alive(self):
        ended = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
        if ended:
            raise ClusterError(f"{', '.join(ended)} ended\n{self.tail()}")

    def _listening(self):
        self._check_alive()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _all_idle(self):
        self._check_alive()
        states = self.slurm("sinfo", "--noheader", "--Node", "--format=%T", check=False).split()
        return states == ["idle"] * self.nodes

    def _until(self, condition, timeout_seconds, what, detail=lambda: ""):
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ClusterError(f"after {timeout_seconds} s not yet: {what}\n{detail()}\n{self.tail()}")
            time.sleep(POLL_SECONDS)
