"""MTL Explorer's training package: what tasks do to each other inside one network, measured."""
