"""Write karate.graphml and karate.npz from the graph that networkx carries: ``python specs/data/write_karate.py``.

Each tie between two members becomes two edges. The `share` of an edge is its weight, in how many contexts the two met,
over all weights that arrive at the member it leads to. Every fourth member is `known`.
"""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np

FOLDER = Path(__file__).parent
LEADERS = {0: "Mr. Hi", 33: "Officer"}


def draw_club() -> nx.DiGraph[int]:
    """The club, every member with a faction and a role, every edge with its share."""
    club = nx.karate_club_graph().to_directed()
    for member, attributes in club.nodes(data=True):
        attributes["faction"] = attributes.pop("club")
        attributes["position"] = "leader" if member in LEADERS else "member"
        attributes["role"] = "leader" if member in LEADERS else "known" if member % 4 == 2 else "other"
    arriving = dict(club.in_degree(weight="weight"))
    for _, member, attributes in club.edges(data=True):
        attributes["share"] = attributes.pop("weight") / arriving[member]
    return club


def list_fields(club: nx.DiGraph[int]) -> dict[str, np.ndarray]:
    """A field for each role, a column a member: 1 in the faction of Mr. Hi, 0 in that of the officer."""
    return {
        role: np.array(
            [
                [
                    float(said["faction"] == "Mr. Hi")
                    for _, said in club.nodes(data=True)
                    if said["role"] == role
                ]
            ]
        )
        for role in ("leader", "known", "other")
    }


if __name__ == "__main__":
    drawn = draw_club()
    nx.write_graphml(drawn, FOLDER / "karate.graphml")
    np.savez(FOLDER / "karate.npz", **list_fields(drawn))
