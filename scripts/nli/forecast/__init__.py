"""What the study will need: parameters, steps, time, memory and energy, counted or rehearsed."""
