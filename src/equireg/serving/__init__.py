"""A trained model and a prepared folder as a server, in the words of MONAI Label's REST interface."""
