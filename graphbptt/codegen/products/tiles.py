"""Tiles in C: sums of products, for as many numbers of a result as stay in registers.

    tile  := rows x vectors         result[r, :] (+)= sum over passes of: factor of row r * vectors of the pass
    panel := (vectors, ...)         those of one pass after those of another; zeros fill the last vector of each

Products and derivatives of weights are both made of such tiles. They differ in what a pass is and in where its factors
are found (`TileKind`).
"""

from __future__ import annotations

from dataclasses import dataclass

from graphbptt.codegen.text import block

__all__ = ["TILE_PARAMETERS", "TileKind", "emit_tile"]

TILE_PARAMETERS = (
    "const real *restrict panel, real *restrict out, ptrdiff_t out_stride,",
    "ptrdiff_t last, int accumulate",
)
"""Of every tile, behind those of its kind: of the last of its vectors only `last` numbers belong to the result."""


@dataclass(frozen=True, slots=True)
class TileKind:
    """What tiles go through, as text, in which ``{row}`` is a row of the tile and ``{rows}`` how many it has.

    Attributes
    ----------
    name : str
        What the names of the functions begin with.
    parameters : str
        What they are given beside the panel and the result.
    loop : str
        The head of the loop over passes.
    factor : str
        What the vectors of a pass are multiplied by in one of the rows.
    before, after : tuple of str
        What a pass does first and last.
    """

    name: str
    parameters: str
    loop: str
    factor: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def function(self, rows: int, vectors: int) -> str:
        """The name of the function that computes a tile.

        >>> TileKind("tile", "", "", "").function(6, 4)
        'tile_6x4'
        """
        return f"{self.name}_{rows}x{vectors}"


def emit_tile(kind: TileKind, rows: int, vectors: int, lanes: int) -> list[str]:
    """The function that computes a tile; all loops over its numbers are written out."""
    grid = [(r, v) for r in range(rows) for v in range(vectors)]
    one_pass = [
        *(line.format(rows=rows) for line in kind.before),
        *(f"const vec b{v} = load_vector(panel + {v * lanes});" for v in range(vectors)),
        *(f"c{r}_{v} += {kind.factor.format(row=r)} * b{v};" for r, v in grid),
        f"panel += {vectors * lanes};",
        *kind.after,
    ]
    widths = [str(lanes)] * (vectors - 1) + ["last"]
    body = [
        f"vec {', '.join(f'c{r}_{v} = {{0}}' for r, v in grid)};",
        *block(kind.loop, one_pass),
        *(
            f"store_vector(out + {r} * out_stride + {v * lanes}, c{r}_{v}, {widths[v]}, accumulate);"
            for r, v in grid
        ),
    ]
    first, second = TILE_PARAMETERS
    head = [f"static void {kind.function(rows, vectors)}(", f"    {kind.parameters},", f"    {first}"]
    return [*head, *block(f"    {second})", body), ""]
