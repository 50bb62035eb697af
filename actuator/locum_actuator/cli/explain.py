"""`locum explain`: check a service now and show what locum would do, and why. Changes nothing."""

from __future__ import annotations

import click

from locum_actuator.cli.common.api_client import actuator_option, ask, json_option
from locum_actuator.system.printing import Terminal, say_json, styled


@click.command()
@click.argument("service")
@actuator_option
@json_option
def explain(service: str, url: str, as_json: bool) -> None:
    """Check SERVICE now and show what locum would do, and why. Changes nothing."""
    answer = ask(url, f"/api/v1/services/{service}/explain")
    if as_json:
        say_json(answer)
        return
    console, plan, seen = Terminal(soft_wrap=True), answer["plan"], answer["seen"]
    console.print(styled((service, "bold"), f": {plan['kind'].replace('_', ' ')}: {plan['reason']}"))
    for step in plan["steps"] or plan["would"]:
        console.print(f"  would {step['name']} on {step['host']}")
    if plan["would"]:
        console.print(f"  but is held back: {plan['code']}")
    console.print(
        f"holder: {answer['holder'] or 'not known'}; held by: {', '.join(seen['holders']) or 'no host'}"
    )
    for host, move in answer["moves"].items():
        steps = ", ".join(f"{step['name']} on {step['host']}" for step in move["steps"])
        would = steps or f"be refused: {move['reason']}"
        console.print(f"a switchover to {host} would {would}")
    for address, answered in seen["witnesses"].items():
        console.print(f"witness {address}: {'answers' if answered else 'does not answer'}")
    if seen.get("reach"):
        console.print(seen["reach"], soft_wrap=True)
    for name, host in seen["hosts"].items():
        running = "" if host["processes"] is None else f", processes {host['processes']}"
        console.print(f"{name}: {host['echoes']} echoes, gate {host['gate']}{running}")
        for vantage_point, text in host["looks"].items():
            console.print(f"  seen from {vantage_point}: {text}")
