"""The parts of `tools/release`. Standard library only; other programs do the heavy work."""
