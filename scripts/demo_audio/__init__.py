"""How the demo's recordings are made: a sung phrase, its accompaniment, and a spoken reference of another voice."""
