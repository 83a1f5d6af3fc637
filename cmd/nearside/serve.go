package main

import (
	"context"
	"errors"
	"log/slog"

	"nearside/internal/config"
)

type serveCmd struct {
	Config  string  `help:"Configuration file (default: nearside.yaml in the working directory, if it exists)." placeholder:"FILE"`
	Listen  *string `help:"Address to listen on; port 0 is a free one." placeholder:"HOST:PORT"`
	DataDir *string `help:"Folder of the stored objects." placeholder:"DIR"`
}

// Help is shown below the flags.
func (*serveCmd) Help() string {
	return `Example:

    nearside serve --listen 127.0.0.1:5110 --data-dir data

When it can answer, it logs a line with "listening on http://HOST:PORT". SIGTERM lets running requests end and stops; SIGHUP reads plugins, limits, remotes and the log level again.`
}

// Run reads the configuration and serves until a signal comes.
func (c *serveCmd) Run(s *system) error {
	flags := map[string]any{}
	if c.Listen != nil {
		flags["listen"] = *c.Listen
	}
	if c.DataDir != nil {
		flags["data_dir"] = *c.DataDir
	}
	cfg, warnings, err := config.Read(c.Config, s.env, flags)
	if err != nil {
		return err
	}
	log, _ := newLogger(s.stderr, cfg.Log)
	for _, warning := range warnings {
		log.Warn(warning)
	}
	return serve(s.ctx, cfg, log)
}

// serve serves until ctx ends.
func serve(context.Context, config.Config, *slog.Logger) error {
	return errors.New("serve is not wired yet")
}
