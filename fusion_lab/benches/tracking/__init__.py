"""How well identities hold, on scenes in which every object is known."""
