"""One module per screen: home, run, replay, help, and the small dialogs."""
