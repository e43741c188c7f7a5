"""Encoders and decoders: how they are built, adapted, trained, merged and checked."""
