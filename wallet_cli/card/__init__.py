"""The e-ID card at the resident's side: which key signs, what is signed, and what never is."""
