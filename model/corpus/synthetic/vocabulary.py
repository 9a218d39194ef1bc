"""Plain words that the tasks are made of."""

from __future__ import annotations

NAMES = tuple(
    """
    Ada Bo Carl Dina Elif Finn Gita Hans Ines Jun Kofi Lena Max Nora Omar Pia Rosa Sven Tara Umar Vera Yan Zoe
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
CITIES = tuple(
    """
    Accra Bergen Cairo Delhi Essen Fes Ghent Hanoi Izmir Jaipur Kyoto Lima Malmo Nairobi Oslo Porto Quito Riga
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
NOUNS = tuple(
    """
    apple anchor basket bell bridge candle castle cloud corn drum eagle engine feather field flute forest garden
    glass hammer harbor helmet island jacket kettle ladder lemon lantern marble meadow mirror needle ocean onion
    paper pebble pencil pepper pillow planet pocket rabbit ribbon river rocket saddle salt shadow silver spoon stone
    sugar table thread tiger timber tower tunnel valley velvet violin wagon walnut water whistle window winter wolf
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
