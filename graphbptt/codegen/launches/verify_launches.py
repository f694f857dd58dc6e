"""What must hold for a launch plan, checked on the data, as it can be without a GPU.

- Names are unique; what is named is there, and sections stand in their order, each once.
- Memory is used as it may be, and read when it was written (`launches.verify_memory`).
- Launches and products are right by themselves (`launches.verify_launch`, `launches.verify_multiply`).
- Sections that are recorded copy nothing from the host, or to it; a section that copies from the host does nothing
  else, as the copies go beside the work.
"""

from __future__ import annotations

from collections import Counter

from graphbptt.codegen.launches.commands import Clear, Command, CopyIn, CopyOut, Launch, Multiply
from graphbptt.codegen.launches.launch_plan import RECORDED, SECTIONS, LaunchPlan, Section
from graphbptt.codegen.launches.require import require
from graphbptt.codegen.launches.verify_launch import check_launch
from graphbptt.codegen.launches.verify_memory import Ledger, check_arenas, check_regions
from graphbptt.codegen.launches.verify_multiply import check_multiply
from graphbptt.errors import VerificationError

__all__ = ["verify_launches"]


def verify_launches(plan: LaunchPlan) -> LaunchPlan:
    """Return the plan if all holds.

    Raises
    ------
    VerificationError
        It says of the first thing that does not hold, in which section and command.
    """
    _check_names(plan)
    check_arenas(plan)
    ledger = Ledger(plan)
    for section in plan.sections:
        for number, command in enumerate(section.commands):
            try:
                _check_command(plan, command)
                ledger.follow(command)
            except VerificationError as error:
                raise VerificationError(f"{section.name}, command {number}: {error}") from None
        _check_copies(section)
    return plan


def _check_names(plan: LaunchPlan) -> None:
    names = [array.name for array in plan.arrays]
    twice = ", ".join(name for name, count in Counter(names).items() if count > 1)
    require(not twice, f"two arrays have one name: {twice}")
    sections = [section.name for section in plan.sections]
    ordered = [name for name in SECTIONS if name in sections]
    require(sections == ordered, f"sections are out of order: {sections}")


def _check_command(plan: LaunchPlan, command: Command) -> None:
    """Whether a command is right by itself."""
    check_regions(plan, command)
    match command:
        case Launch():
            check_launch(plan, command)
        case Multiply():
            check_multiply(plan, command)
        case Clear() | CopyIn() | CopyOut():
            pass


def _check_copies(section: Section) -> None:
    recorded = any(section.name in group for group in RECORDED)
    for number, command in enumerate(section.commands):
        copied = recorded and isinstance(command, CopyIn | CopyOut)
        where = f"{section.name}, command {number}"
        require(not copied, f"{where}: the host's memory has no place in what is recorded")
    copies = [isinstance(command, CopyIn) for command in section.commands]
    alone = all(copies) or not any(copies)
    require(alone, f"{section.name} copies from the host, and does more than that")
