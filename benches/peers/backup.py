#!/usr/bin/env python3
"""First backup, unchanged backup, verification and restore of a folder of small files, beside restic.

    cargo build --release -p stocktake-examples
    python3 benches/peers/backup.py target/release/stocktake [FILES] [FOLDER]

Every line is one process, measured by the operating system when it ended: wall
seconds, CPU seconds (user and system), peak resident memory of the process.
Both programs run in turn in one go, so that a slow machine is slow for both.
restic is left out if it is not installed.
"""
import os, random, shutil, subprocess, sys, time


def generate(folder, files):
    """Files of 11 KiB on average, of words drawn at random; the same every time."""
    lots = random.Random(1)
    words = [bytes(lots.choices(b"abcdefghijklmnopqrstuvwxyz", k=lots.randint(2, 11))) for _ in range(20_000)]
    pool = b" ".join(lots.choices(words, k=6_000_000))
    for n in range(files):
        path = f"{folder}/{n // 1000:03}"
        if n % 1000 == 0:
            os.makedirs(path)
        size = min(int(lots.lognormvariate(8.6, 1.2)), 4 << 20)
        start = lots.randrange(len(pool) - size)
        with open(f"{path}/{n:06}.txt", "wb") as file:
            file.write(b"%d\n" % n + pool[start : start + size])


def run(name, command, env=None):
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{name:32} {wall:7.2f} s wall {cpu:7.2f} s cpu {usage.ru_maxrss // 1024:6} MiB", flush=True)
    if process.returncode not in (0, 3):
        sys.exit(f"{command} ended with {process.returncode}")


def size(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def main():
    program = os.path.abspath(sys.argv[1])
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    base = sys.argv[3] if len(sys.argv) > 3 else "target/bench-backup"
    shutil.rmtree(base, ignore_errors=True)
    source = f"{base}/source"
    # In a process of its own: a child's peak memory counts that of the parent it was forked from.
    subprocess.run([sys.executable, __file__, "generate", source, str(files)], check=True)
    print(f"{files} files, {size(source) / 1e6:.0f} MB")
    secret = {"STOCKTAKE_PASSPHRASE": "bench", "RESTIC_PASSWORD": "bench"}
    vault, repo = f"{base}/vault", f"{base}/restic"
    restic = ["restic", "--no-cache", "-q", "-r", repo]
    peer = shutil.which("restic") is not None
    run("stocktake init", [program, "init", vault], secret)
    if peer:
        run("restic init", restic + ["init"], secret)
    backup = [program, "backup", "--source", source, "--vault", vault, "--traverse"]
    run("stocktake first backup", backup, secret)
    if peer:
        run("restic first backup", restic + ["backup", source], secret)
    run("stocktake unchanged backup", backup, secret)
    inventories = f"{base}/inventories"
    run("stocktake inventory create", [program, "inventory", "create", "--source", source, "--to", inventories])
    from_inventory = [*backup[:-1], "--inventory", inventories]
    run("stocktake unchanged, inventory", from_inventory, secret)
    if peer:
        run("restic unchanged backup", restic + ["backup", source], secret)
    run("stocktake verify all data", [program, "verify", "--vault", vault, "--data", "all"], secret)
    if peer:
        run("restic check all data", restic + ["check", "--read-data"], secret)
    restore = [program, "restore", "--vault", vault, "--snapshot", "latest", "--to", f"{base}/restored"]
    run("stocktake restore", restore, secret)
    if peer:
        run("restic restore", restic + ["restore", "latest", "--target", f"{base}/restic-restored"], secret)
    print(f"stored: stocktake {size(vault) / 1e6:.0f} MB" + (f", restic {size(repo) / 1e6:.0f} MB" if peer else ""))


if __name__ == "__main__":
    if sys.argv[1:2] == ["generate"]:
        generate(sys.argv[2], int(sys.argv[3]))
    else:
        main()
