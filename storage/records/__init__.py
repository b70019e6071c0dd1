"""Records R1 to R4 as frozen structs, and how each becomes frames of declared measurements."""
