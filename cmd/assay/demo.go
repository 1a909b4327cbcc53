package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/demo"
	"github.com/assay-dev/assay/cmd/assay/webhook"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
)

func demoCommand() *cobra.Command {
	return demo.Command(demo.Program{Serve: serveDemo, Compile: func(ctx context.Context, dir string) (map[string]string, error) {
		documents, err := wiring.ReadDocuments([]string{dir})
		if err != nil {
			return nil, err
		}
		text, err := rego.Modules(ctx, documents.Policies)
		if err != nil {
			return nil, err
		}
		return text.Modules, nil
	}})
}

// serveDemo runs the webhook as serve does, on a free port of loopback.
func serveDemo(ctx context.Context, dir string, log io.Writer) (*demo.Webhook, error) {
	flags := wiring.Defaults()
	flags.Policies, flags.TrustedRoot = []string{filepath.Join(dir, "policies")}, filepath.Join(dir, "trusted_root.json")
	flags.PrivateRegistries = true
	config := server.Config{
		Addr:   "127.0.0.1:0",
		TLS:    server.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")},
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		// Nobody waits for the demo's endpoint to be taken out of a Service.
		DrainDelay: time.Millisecond,
	}
	running, err := webhook.Listen(ctx, flags, config, version())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := running.Run(ctx); err != nil {
			config.Logger.Error("webhook", "error", err)
		}
	}()
	return &demo.Webhook{
		Addr:     running.Addr(),
		Policies: running.Policies,
		Stop: func() {
			cancel()
			<-done
		},
	}, nil
}
