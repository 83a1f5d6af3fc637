package store

func childMain(string) {}
