"""Environments of the published front end: a placement with a name for what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["EnvironmentComponentDescriptor", "EnvironmentComponentInstance", "TaskEnvironment"]


class EnvironmentComponentDescriptor:
    """Something that an environment brings along; calling it makes an instance for one environment."""

    def combine(self, other: EnvironmentComponentDescriptor) -> EnvironmentComponentDescriptor:
        """Return what serves in place of both: this one, unless a derived class knows better."""
        return self

    def __call__(self, environment: TaskEnvironment) -> EnvironmentComponentInstance:
        return EnvironmentComponentInstance(self)


class EnvironmentComponentInstance:
    """A component in one environment: a context manager to be entered where its effect is wanted."""

    def __init__(self, descriptor: EnvironmentComponentDescriptor) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> EnvironmentComponentInstance:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class TaskEnvironment:
    """Devices that a task may use, and components that a body enters with ``with environment:``.

    Given as `placement=` of a spawn it means its own placement.
    """

    def __init__(self, placement: object, components: Iterable = (), tags: Iterable = ()) -> None:
        self.placement = placement
        self.tags = frozenset(tags)
        self.components = {type(component): component(self) for component in components}

    def get_component(self, kind: type) -> EnvironmentComponentInstance:
        """Return the component that a descriptor of this type made. Raises KeyError if there is none."""
        return self.components[kind]

    def __parla_placement__(self) -> object:
        return self.placement

    def __enter__(self) -> TaskEnvironment:
        for component in self.components.values():
            component.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for component in reversed(self.components.values()):
            component.__exit__(*error)

    def __repr__(self) -> str:
        return f"<TaskEnvironment {self.placement!r}>"
