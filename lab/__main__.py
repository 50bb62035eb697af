"""`python -m lab` starts a lab for manual use; `python -m lab VERB …` sends a verb to it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import threading

from lab.control import VERBS, Control, ask
from lab.forward import Forwarder
from lab.lab import Lab
from lab.locum import BIN, HOME, SITE, STATE, Locum
from lab.namespaces import enter
from lab.needs import ENVIRONMENT, PATH, LabError

ME = "sudo .venv/bin/python -m lab" if os.geteuid() != 0 else ".venv/bin/python -m lab"


# locum's own pages on b, and their ports
_CHAIN = {"locum": 10752, "Prometheus": 9090, "the exporter": 10751}
_WITH_PASSWORD = {"Prometheus"}  # Alertmanager requires a certificate, which amtool on b has


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {f'{name} {verb.words}':<36} {verb.help}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Without a verb: start the lab and run until Ctrl-C. With a verb: send it to the running lab.",
        epilog=f"verbs:\n{verbs}\n  {'shell HOST [COMMAND …]':<36} a shell in a host (gw and client as well)"
        f"\n  {'locum …':<36} the locum command on b, for example: locum status",
    )
    parser.add_argument("--bare", action="store_true", help="without locum, so that no host takes over")
    parser.add_argument("--hosts", default="a,b", help="which hosts to create: a,b (the default) or a,b,c")
    parser.add_argument("--lab", type=int, help="which lab, if several are running")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB …")
    return parser


def _shell(words: list[str], lab: int | None) -> None:
    """Replace this process by a shell in a host."""
    if not words:
        raise LabError("use: shell HOST [COMMAND …]")
    pid = int(ask(["pid", words[0]], lab))
    argv = enter(pid, "mnup", ["env", "-C", "/root", *(words[1:] or ["bash"])])
    program = shutil.which(argv[0], path=PATH)
    assert program is not None
    environment = {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb"), "PS1": f"{words[0]} \\w# "}
    os.execve(program, argv, environment)


def _explain(lab: Lab, forwarder: Forwarder, *, bare: bool) -> None:
    pages = [("the service, as the client reaches it", "client", str(lab.service_address.ip), 80, 8080)]
    pages += [(f"{name}'s own page", name, "127.0.0.1", 80, 8081 + n) for n, name in enumerate(lab.hosts)]
    if not bare:
        pages += [(what, HOME, "127.0.0.1", port, port) for what, port in _CHAIN.items()]
    print(f"The lab is up: {', '.join(lab.everybody)}. {next(iter(lab.hosts))} holds {lab.service_address}.")
    if lab.note:
        print(f"Note: {lab.note}.")
    print("\nIn a browser on this machine:")
    for what, host, address, port, prefer in pages:
        page = forwarder.forward(lab.host(host), port, address=address, prefer=prefer)
        url = page.url.replace("http://", "https://", 1) if what in _WITH_PASSWORD else page.url
        print(f"  {url:<28} {what}" + (f" ({page.note})" if page.note else ""))
    if not bare:
        print(f"  (Prometheus: user locum, password in {STATE}/chain/web.password on {HOME})")
    print("\nIn another terminal:")
    words = ["status", "kill a", "crash a", "reboot a", "hang a", "heal a", "shell b", "--help"]
    if not bare:
        words[1:1] = ["locum status", "locum explain www", "locum incidents"]
    for word in words:
        print(f"  {ME} {word}")
    print("\nCtrl-C ends the lab and removes everything it created.", flush=True)


def _stay(hosts: str, *, bare: bool) -> None:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    names = tuple(hosts.split(","))
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(hosts=names, holder=names[0]))
        if not bare:
            stack.enter_context(Locum(lab, say=print))
        forwarder = stack.enter_context(Forwarder())
        stack.enter_context(Control(lab))
        _explain(lab, forwarder, bare=bare)
        while not over.wait(0.5):  # a person ends it; the signal may be delivered to another thread
            pass


def main() -> int:
    """Return 0 on success, 1 with one line on standard error otherwise."""
    options = _parser().parse_args()
    try:
        if not options.words:
            _stay(options.hosts, bare=options.bare)
        elif options.words[0] == "shell":
            _shell(options.words[1:], options.lab)
        elif options.words[0] == "locum":
            _shell([HOME, str(BIN / "locum"), "--site", SITE, *options.words[1:]], options.lab)
        else:
            print(ask(options.words, options.lab))
    except LabError as fault:
        print(f"lab: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
