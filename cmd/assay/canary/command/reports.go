// Package command has the commands about candidates: assay canary shows what became of
// one, and assay promote lets it serve.
//
// A report comes from a program that serves, or from a file. It is read within bounds, and
// what strangers wrote into it is printed on lines that look like none of ours.
package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/canary"
)

// reports says how reports are read.
type reports struct {
	ca, token, name string
	timeout         time.Duration
}

func (r *reports) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.ca, "ca", "", "PEM `file` of the authorities that vouch for the server of a report, instead of the system's")
	cmd.Flags().StringVar(&r.name, "server-name", "", "`name` that the certificate of the server of a report has to have, instead of the host of its URL")
	cmd.Flags().StringVar(&r.token, "token-file", "", "`file` with a bearer token for the server of a report")
	cmd.Flags().DurationVar(&r.timeout, "timeout", 30*time.Second, "deadline of each request")
}

// read reads the report at a URL or in a file.
func (r *reports) read(ctx context.Context, from string) (canary.Report, error) {
	text, err := r.text(ctx, from)
	if err != nil {
		return canary.Report{}, fmt.Errorf("%s: %w", from, err)
	}
	out, err := canary.Read(text)
	if err != nil {
		return canary.Report{}, fmt.Errorf("%s: %w", from, err)
	}
	return out, nil
}

func (r *reports) text(ctx context.Context, from string) ([]byte, error) {
	if strings.HasPrefix(from, "http://") {
		return nil, errors.New("got a report over http, want https or a file: whoever is on the way could have written it")
	}
	if !strings.HasPrefix(from, "https://") {
		file, err := os.Open(from)
		if err != nil {
			return nil, errors.Unwrap(err) // which names the file again
		}
		defer func() { _ = file.Close() }()
		return bounded(file)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	request, err := r.request(ctx, from)
	if err != nil {
		return nil, err
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // which names the URL again
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("got status %d, want 200", response.StatusCode)
	}
	return bounded(response.Body)
}

func bounded(from io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(from, canary.MostBytes+1))
}

func (r *reports) request(ctx context.Context, from string) (*http.Request, error) {
	at, err := url.Parse(from)
	if err != nil {
		return nil, errors.Unwrap(err) // which names the URL again
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.token == "" {
		return request, nil
	}
	token, err := os.ReadFile(r.token)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return request, nil
}

// client follows no redirect: a report of somebody else is none.
func (r *reports) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.name}
	if r.ca != "" {
		text, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: got no certificate in %s, want one in PEM", r.ca)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
