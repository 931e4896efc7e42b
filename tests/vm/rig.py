"""A virtual machine with control groups of version 2, for what this machine may not be able to show.

It has Debian's kernel, busybox, our programs with the libraries they need, and runs the cases of
tests/vm/cases. A case is one file, a script for busybox's sh with the commands of case.sh at hand:

    # What it is about.
    # modules: veth nf_tables     further kernel modules
    # programs: nft               further programs of this machine
    # kernel: quiet               further words of the kernel's command line: a machine for these alone
    # memory: 1024                MiB, if not 512: likewise
    # timeout: 60                 seconds, if not 30
    service notes
    tenant notes:alice
    tenement_start
    check "a request is answered" answers notes:alice

Cases that agree in kernel and memory share a machine, a few at a time. Without KVM a machine takes three
seconds to start.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from harness import PROGRAMS, SLOWNESS, SOURCE, build_folder, into_machine_network

HERE = SOURCE / "tests" / "vm"
FOLDER = SOURCE / "build-vm"  # where a kernel is unpacked
CASES_MAX = 8  # of a machine
MODULES = ("overlay",)
APPS = ("tiny", "attacker")


class Unavailable(Exception):
    """Why there can be no virtual machine here."""


class Case:
    """A file of tests/vm/cases, and what its first lines ask for."""

    def __init__(self, path):
        self.name = path.stem
        asked = dict(re.findall(r"^# (modules|programs|kernel|memory|timeout): (.*)$", path.read_text(), re.M))
        self.modules = asked.get("modules", "").split()
        self.programs = asked.get("programs", "").split()
        self.kernel = asked.get("kernel", "")
        self.memory = int(asked.get("memory", "512"))
        self.timeout = int(asked.get("timeout", "30"))

    def machine(self):
        return self.kernel, self.memory


class Result:
    """What a case said: lines of "ok ...", "not ok ..." or "skip ...", and anything else."""

    def __init__(self, lines, status):
        self.lines, self.status = lines, status  # status None: it did not come to its end

    def said(self, word):
        return [line[len(word) + 1:] for line in self.lines if line.startswith(word + " ")]

    @property
    def skipped(self):
        return self.said("skip")

    @property
    def good(self):
        return self.status == 0 and bool(self.said("ok")) and not self.said("not ok")


def cases():
    return [Case(path) for path in sorted((HERE / "cases").glob("*.sh"))]


def groups(all_cases):
    """Lists of cases, each list for one machine."""
    by_machine = {}
    for case in all_cases:
        by_machine.setdefault(case.machine(), []).append(case)
    return [same[i:i + CASES_MAX] for same in by_machine.values() for i in range(0, len(same), CASES_MAX)]


def kernel():
    """Its image and the folder of its modules."""
    done = subprocess.run([HERE / "kernel", FOLDER], capture_output=True, text=True, check=False,
                          preexec_fn=into_machine_network)
    if done.returncode != 0:
        raise Unavailable(f"no kernel for a virtual machine: {done.stderr.strip()}")
    return [pathlib.Path(path) for path in done.stdout.split()]


def find_program(name, why):
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"no {name} here: {why}")
    return pathlib.Path(found)


def libraries(programs):
    """Paths of the libraries that PROGRAMS are loaded with, the loader included."""
    found = set()
    for program in programs:
        # (a static one has none, and ldd says so by its exit status)
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for line in said.splitlines():
            path = line.split("=>")[-1].split()[0]
            if "=> not found" in line:
                raise Unavailable(f"{program} lacks a library: {line.strip()}")
            if "libasan" in path:
                raise Unavailable("programs with sanitizers are too slow and too large for a virtual machine")
            if path.startswith("/"):
                found.add(path)
    return found


def needed_modules(modules, names):
    """Files of the modules NAMES and of what they depend on."""
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, on = line.partition(":")
        depends[pathlib.Path(file).name.split(".")[0].replace("-", "_")] = [file, *on.split()]
    builtin = {pathlib.Path(line).name.split(".")[0].replace("-", "_")
               for line in (modules / "modules.builtin").read_text().splitlines()}
    found = []
    for name in names:
        name = name.replace("-", "_")
        if name not in depends and name not in builtin:
            raise Unavailable(f"the kernel has no module {name}")
        found += depends.get(name, [])
    return sorted(set(found))


class Archive:
    """A newc cpio archive: an initial file system."""

    def __init__(self, file):
        self.file, self.count, self.known = file, 0, set()

    def entry(self, path, mode, body=b"", device=(0, 0)):
        name = path.strip("/").encode() + b"\0"
        self.count += 1
        fields = (self.count, mode, 0, 0, 1, 0, len(body), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self.file.write(head + b"\0" * (-len(head) % 4) + body + b"\0" * (-len(body) % 4))

    def folder(self, path):
        path = pathlib.PurePath("/", path)
        if path in self.known or path == pathlib.PurePath("/"):
            return
        self.folder(path.parent)
        self.known.add(path)
        self.entry(str(path), stat.S_IFDIR | 0o755)

    def text(self, path, text, mode=0o644):
        path = pathlib.PurePath("/", path)
        if path not in self.known:
            self.folder(path.parent)
            self.known.add(path)
            self.entry(str(path), stat.S_IFREG | mode, text if isinstance(text, bytes) else text.encode())

    def copy(self, path, to=None):
        path = pathlib.Path(path)
        self.text(to or path, path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644)

    def link(self, path, target):
        self.folder(pathlib.PurePath(path).parent)
        self.entry(path, stat.S_IFLNK | 0o777, target.encode())

    def end(self):
        self.entry("TRAILER!!!", 0)


def write_archive(path, batch, modules):
    programs = build_folder()
    ours = [programs / name for name in PROGRAMS]
    ours += [program for program in programs.glob("tenement-*") if program.is_file() and program not in ours]
    apps = [programs / "tests" / name for name in APPS if (programs / "tests" / name).exists()]
    foreign = {find_program(name, "a case needs it") for case in batch for name in case.programs}
    asked = [*MODULES, *(name for case in batch for name in case.modules)]
    with open(path, "wb") as file:
        archive = Archive(file)
        # (without it /init has nowhere to say what is wrong)
        archive.folder("/dev")
        archive.entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        archive.copy(find_program("busybox", "it is of busybox-static"), "/bin/busybox")
        for folder in ("/proc", "/sys", "/run", "/tmp", "/root", "/sbin", "/usr/bin", "/usr/sbin", "/var/tmp",
                       "/home", "/work", "/lib64"):
            archive.folder(folder)
        archive.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nplain:x:1000:1000::/home:/bin/sh\n"
                     "nobody:x:65534:65534:nobody:/:/bin/false\n")
        archive.text("/etc/group", "root:x:0:\nplain:x:1000:\nnogroup:x:65534:\n")
        for program in ours:
            archive.copy(program, f"/opt/tenement/{program.name}")
        for app in apps:
            archive.copy(app, f"/opt/tenement/tests/{app.name}")
        for program in foreign:
            archive.copy(program, f"/usr/bin/{program.name}")
        for library in sorted(libraries([*ours, *apps, *foreign])):
            archive.copy(library)
        for module in needed_modules(modules, asked):
            archive.copy(modules / module, f"/lib/modules/{modules.name}/{module}")
        for name in ("modules.dep", "modules.alias", "modules.symbols"):
            archive.copy(modules / name, f"/lib/modules/{modules.name}/{name}")
        archive.copy(HERE / "init", "/init")
        archive.copy(HERE / "case.sh", "/vm/case.sh")
        for case in batch:
            archive.copy(HERE / "cases" / f"{case.name}.sh", f"/vm/cases/{case.name}.sh")
        archive.text("/vm/modules", "".join(f"{name}\n" for name in dict.fromkeys(asked)))
        archive.text("/vm/list", "".join(f"{case.name} {int(case.timeout * SLOWNESS)}\n" for case in batch))
        archive.end()


def parse(text, batch):
    """{name: Result} of what came over the second line."""
    results = {}
    for case in batch:
        found = re.search(rf"^case {case.name}\n(.*?)(?:^end {case.name} (\d+)$|\Z)", text, re.S | re.M)
        lines = found[1].splitlines() if found else []
        results[case.name] = Result(lines, int(found[2]) if found and found[2] else None)
    return results


def boot(batch):
    """Run the cases of BATCH, in order; {name: Result}, and what the kernel said."""
    qemu = find_program("qemu-system-x86_64", "it is of qemu-system-x86")
    image, modules = kernel()
    limit = sum(case.timeout for case in batch) + 60
    with tempfile.TemporaryDirectory(prefix="tenement-vm-") as folder:
        folder = pathlib.Path(folder)
        write_archive(folder / "initrd", batch, modules)
        words = f"console=ttyS0 panic=-1 quiet loglevel=4 random.trust_cpu=on cgroup_no_v1=all {batch[0].kernel}"
        command = [qemu, "-accel", "tcg", "-cpu", "max", "-m", str(batch[0].memory), "-display", "none",
                   "-monitor", "none", "-no-reboot", "-nic", "none", "-kernel", image,
                   "-initrd", folder / "initrd", "-append", words,
                   "-serial", f"file:{folder}/console", "-serial", f"file:{folder}/results"]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                           timeout=limit * SLOWNESS)
        except subprocess.TimeoutExpired:
            pass  # whose end has not come says so
        said = {name: (folder / name).read_text(errors="replace") if (folder / name).exists() else ""
                for name in ("console", "results")}
    return parse(said["results"].replace("\r", ""), batch), said["console"]
