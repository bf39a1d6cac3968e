"""Module paths of the published front ends, as thin aliases: ``parla.cpu``, ``parla.common.array``, ``parla.cython.tasks``, ….

`parla.__path__` ends with this folder, so each file here is found as a module of `parla` itself. Nothing else in the package
imports from here.
"""
