"""The archive: what retention takes out of the lake, compressed harder, verified, catalogued and readable as before."""
