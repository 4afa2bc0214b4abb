"""The family side by side: packing, duels, unrolling, mixtures, on modes that can be counted."""
