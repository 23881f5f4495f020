"""Watch: one run, section by section, and the buttons that steer it."""
