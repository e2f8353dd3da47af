"""A designed experiment over documented settings: screen each alone, then measure the promising ones together.

In the first stage each candidate takes turns with the configuration as it is. In the second, the best candidate of each
factor is combined, and the combination takes turns with itself less one factor at a time: what a factor adds there is
its effect beside the others, and the difference to its effect alone is the interaction.
"""
