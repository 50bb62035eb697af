"""`locum init`: ask questions and write a site file that passes `locum check`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.site_wizard.files import write_site, write_token
from locum_actuator.cli.site_wizard.questions import (
    Questions,
    default_route,
    is_command,
    is_interface,
    is_name,
    is_own_address,
    is_process,
    is_service_address,
    is_url,
    named_addresses,
)
from locum_actuator.cli.site_wizard.template import Answers, site_text
from locum_actuator.system.printing import say
from locum_inventory.shared_files import EXAMPLE, shared
from locum_inventory.site.load import SITE_FILES, SiteError, advice, site_from


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("locum.yml"), show_default=True)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("/etc/locum"),
    show_default=True,
    help="directory of keys and tokens; missing tokens are created there",
)
@click.option("--force", is_flag=True, help="replace an existing site file; existing tokens are always kept")
@click.option(
    "--example", is_flag=True, help="print the example that explains every key, and do nothing else"
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="a host and its own address, the preferred one first; at least two",
)
@click.option("--actuator-host", metavar="NAME", help="where the actuator runs [default: the second host]")
@click.option("--service", metavar="NAME", help="the service's name")
@click.option("--address", "addresses", multiple=True, metavar="ADDRESS/PREFIX", help="a service address")
@click.option("--interface", help="the interface of the service addresses")
@click.option("--url", help="URL to request, with {host} for the host's address; '' for none")
@click.option("--expect", help="a text that the answer must contain; '' for any")
@click.option("--tcp-port", help="check this TCP port (in addition to --url or instead of it)")
@click.option("--process", help="the process's name as ps -o comm shows it; '' for none")
@click.option(
    "--standby",
    type=click.Choice(["stopped", "running"]),
    default="stopped",
    show_default=True,
    help="whether it runs on hosts that do not hold its addresses",
)
@click.option("--start", help="the command that starts it")
@click.option("--stop", help="the command that stops it")
@click.option("--respawn", help="the command that restarts it after its process has died; '' for none")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="ADDRESS",
    help="an address that answers while the network is fine, such as the gateway's",
)
@click.option(
    "--when-unreachable",
    type=click.Choice(["takeover", "refuse"]),
    help="what to do when a host does not answer at all; there is no default",
)
@click.option("--ssh-user", default="locum", show_default=True, help="the login name on the other hosts")
@click.pass_context
def init(
    context: click.Context, /, output: Path, directory: Path, force: bool, example: bool, **given: Any
) -> None:
    """Write a site file: asks a question for everything that no option sets."""
    if example:
        say(shared(EXAMPLE).read_text(encoding="utf-8"), end="")
        return
    if not force and output.exists():
        did_not_work(_there_already(output))
    questions = Questions()
    try:
        text = site_text(_answers(directory.absolute(), given, questions))
        site = site_from(text, output)
    except SiteError as fault:
        wrong_use(
            "nothing was written, because the site file would have these faults:",
            *fault.lines,
            *_again(context, questions),
        )
    except (click.Abort, click.UsageError):
        for line in _again(context, questions):
            say(line, err=True)
        raise
    tokens = [site.actuator.webhook_token_file]
    tokens += [site.actuator.api_token_file] if site.actuator.api_token_file is not None else []
    _write(output, text, tokens, force=force)
    for line in advice(site):
        say(f"advice: {line}")
    # The actuator's own host first: enrolling it creates the user locum, who will own the key for the others.
    _say_what_is_next(output, sorted(site.hosts, key=lambda name: name != site.actuator.host))


def _answers(directory: Path, given: dict[str, Any], questions: Questions) -> Answers:
    route, ask = default_route(), questions.ask
    hosts = named_addresses(given["hosts"], questions)
    names = list(hosts)
    service = ask(given["service"], "--service", "Name of the service", "www", check=is_name)
    addresses = given["addresses"] or (
        ask(None, "--address", "Service address with its prefix length", check=is_service_address),
    )
    interface = ask(
        given["interface"], "--interface", "Interface of the service address", route.interface if route else None,
        check=is_interface,
    )  # fmt: skip
    url = given["url"]
    if url is None and given["tcp_port"] is None:
        url = ask(None, "--url", "URL to request (- for none)", "http://{host}/", check=is_url)
    expect = ask(given["expect"], "--expect", "Text that the answer must contain (- for any)", "")
    process = ask(given["process"], "--process", "Name of its process (- for none)", "", check=is_process)
    gateway = route.gateway if route else None
    return Answers(
        hosts=hosts,
        actuator_host=given["actuator_host"] or (names[1] if len(names) > 1 else names[0]),
        service=service,
        addresses=tuple(addresses),
        interface=interface,
        url=url or "",
        expect=expect,
        tcp_port=given["tcp_port"] or "",
        process=process,
        standby=given["standby"],
        **_commands(given, process or service, questions),
        witnesses=given["witnesses"]
        or (ask(None, "--witness", "Witness, such as the gateway", gateway, check=is_own_address),),
        when_unreachable=given["when_unreachable"] or questions.ask_when_unreachable(),
        ssh_user=given["ssh_user"],
        directory=directory,
    )


def _commands(given: dict[str, Any], unit: str, questions: Questions) -> dict[str, str]:
    """Return the command lines; ask for none if the service also runs on its standbys."""
    if given["standby"] == "running":
        return {name: given[name] or "" for name in ("start", "stop", "respawn")}
    return {
        name: questions.ask(given[name], f"--{name}", what, f"systemctl {verb} {unit}", check=check)
        for name, what, verb, check in (
            ("start", "Command that starts it", "start", is_command),
            ("stop", "Command that stops it", "stop", is_command),
            ("respawn", "Command that restarts it (- for none)", "restart", None),
        )
    }


def _again(context: click.Context, questions: Questions) -> tuple[str, ...]:
    """Return lines that show how to continue without answering every question again."""
    if not questions.any_asked:
        return ()
    given = " ".join(
        shlex.quote(f"{parameter.opts[0]}={value}")
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        and not getattr(parameter, "is_flag", False)
        for value in (
            context.params[str(parameter.name)]
            if parameter.multiple
            else [context.params[str(parameter.name)]]
        )
    )
    command = " ".join(filter(None, ("locum init", given, questions.as_options())))
    return ("your answers so far, as a command to correct and run again:", f"  {command}")


def _write(output: Path, text: str, tokens: list[Path], *, force: bool) -> None:
    try:
        for token in tokens:
            token.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            made = write_token(token)
            say(f"{token}: {'created' if made else 'exists already, kept'}")
        if not write_site(output, text, replace=force):
            did_not_work(_there_already(output))
    except OSError as error:
        where = f"{error.filename}: {error.strerror}"
        did_not_work(f"{where}: nothing more was written; choose other places with --directory and --output")
    say(f"{output}: written")


def _there_already(output: Path) -> str:
    return f"{output} exists already: choose another file with --output, or replace it with --force"


def _say_what_is_next(output: Path, hosts: list[str]) -> None:
    is_default = output.absolute() in {path.absolute() for path in SITE_FILES}
    locum = "locum" if is_default else f"locum --site {output}"
    say("next:")
    for host in hosts:
        say(f"  {locum} enrol {host}")
    say(f"  {locum} check --live")
    say(f"  {locum} up")
