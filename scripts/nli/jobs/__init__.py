"""What the training and the prediction scripts share: their arguments, their outline and the record of a run."""
