"""``graphbptt backends``: which backends are installed, and which can run here."""

from __future__ import annotations

import click


@click.command()
def backends() -> None:
    """List the installed backends: what each runs with here, or why it cannot."""
    from graphbptt.backend import find_backend, list_backends, load_backend
    from graphbptt.errors import BackendError

    try:
        chosen = find_backend().name
    except BackendError:
        chosen = None
    for name, entry in sorted(list_backends().items()):
        backend = load_backend(entry)
        state = f"cannot run here: {backend}" if isinstance(backend, str) else "available"
        click.echo(f"{name}: {state}{' (auto)' if name == chosen else ''}")
        for line in () if isinstance(backend, str) else backend.describe():
            click.echo(f"  {line}")
