"""``graphbptt backends``: which backends are installed, and which can run here."""

from __future__ import annotations

import click


@click.command()
def backends() -> None:
    """List the installed backends, and why one cannot run here."""
    from graphbptt.backend import find_backend, list_backends

    chosen = find_backend().name
    for name, entry in sorted(list_backends().items()):
        try:
            reason = entry.load().missing()
        except ImportError as error:
            reason = f"it cannot be imported: {error}"
        state = f"cannot run here: {reason}" if reason else "available"
        click.echo(f"{name}: {state}{' (auto)' if name == chosen else ''}")
