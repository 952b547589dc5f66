"""The screens: they read history and talk to the queue, and drive nothing themselves."""
