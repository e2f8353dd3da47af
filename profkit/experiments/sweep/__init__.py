"""Captures along versions or settings: in groups that share the first configuration and the last of the group before.

What a group has in common with others is measured in both, so that the drift of the machine from group to group is no
difference between versions.
"""
