"""How the report draws: curves, bars and points as SVG, cases as PNG."""
