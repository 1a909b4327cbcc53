package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/rest"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/image"
	"github.com/assay-dev/assay/rego/bundle/local"
)

// carrier brings what OPA would read where nothing bounds it: a file, and an image of a
// registry. OPA polls it, as a server, and gets the very bytes that were looked at.
type carrier interface {
	// Carry gives the bytes that there are now, nil where they are one of those that are known,
	// with their tag.
	Carry(ctx context.Context, known []string) (body []byte, tag string, err error)
}

// ofDiscovery begins the path of the discovery bundle.
const ofDiscovery = "discovery"

// carried is what carries a source, and where OPA asks for it; nil where OPA may ask itself.
func (b *bounds) carried(of configured.Source) (path string, by carrier, err error) {
	kind := "bundles"
	if of.Discovery {
		kind = ofDiscovery
	}
	path = strings.Join([]string{kind, url.PathEscape(of.Name), url.PathEscape(of.Resource)}, "/")
	switch {
	case of.OCI:
		repository, err := image.New(of.Resource, b.limits.Compressed)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", of.Place(), err)
		}
		return path, &imageCarrier{services: &b.services, of: of.Service, repository: repository}, nil
	case of.File():
		at, err := url.Parse(of.Resource)
		if err != nil {
			return "", nil, fmt.Errorf("%s.resource: %w", of.Place(), err)
		}
		return path, local.File{Path: at.Path, Limits: b.limits}, nil
	default:
		return "", nil, nil
	}
}

// carrying is the block of a source that is carried. All that OPA does beside stays: when it
// polls, what it verifies, what it persists.
func carrying(block map[string]any, path string) {
	block["service"], block["resource"] = feedService, path
	if polling, ok := block["polling"].(map[string]any); ok {
		delete(polling, "long_polling_timeout_seconds") // a file, and a registry, know of none
	}
}

// bring answers OPA's request for a bundle that is carried.
func (b *bounds) bring(request *http.Request, by carrier) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(request.Context(), longestBody, fmt.Errorf("it took more than %s", longestBody))
	defer cancel()
	known := tagsIn(request.Header.Get("If-None-Match"))
	body, tag, err := by.Carry(ctx, known)
	if err != nil {
		return nil, err
	}
	out := answer(request)
	out.Header.Set("ETag", tag)
	if body == nil {
		out.StatusCode = http.StatusNotModified
		return out, nil
	}
	if err := b.shaped(request, body, tag); err != nil {
		return nil, err
	}
	out.StatusCode, out.ContentLength, out.Body = http.StatusOK, int64(len(body)), io.NopCloser(bytes.NewReader(body))
	out.Header.Set("Content-Type", "application/gzip")
	return out, nil
}

// tagsIn are the tags of a bundle that is active, and of those that it took the place of.
func tagsIn(header string) (tags []string) {
	for tag := range strings.SplitSeq(header, ",") {
		tags = append(tags, strings.Trim(strings.TrimSpace(tag), `"`))
	}
	return tags
}

// imageCarrier brings a bundle out of a registry.
type imageCarrier struct {
	services   *services
	of         string // the name of the service
	repository *image.Repository
}

func (c *imageCarrier) Carry(ctx context.Context, known []string) ([]byte, string, error) {
	service, leave, err := c.services.ask(ctx, c.of)
	if err != nil {
		return nil, "", err
	}
	defer leave()
	found, err := c.repository.Fetch(ctx, service, known)
	return found.Content, found.Digest, err
}

// services are how those of OPA are asked, with the credentials that OPA has for them.
type services struct {
	opa *plugins.Manager

	mu     sync.Mutex
	busy   map[string]chan struct{} // full while one is asked, by name
	client map[string]rest.Client   // of the configuration that is in force, by name
}

// take has services be asked as the configuration has them that is in force from now on. OPA has
// those of a configuration at hand that it then refuses.
func (s *services) take(carriers map[string]carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = map[string]rest.Client{}
	for _, by := range carriers {
		if of, ok := by.(*imageCarrier); ok {
			s.client[of.of] = s.opa.Client(of.of)
		}
	}
}

// ask is how a service is asked, as the configuration in force has it; leave ends that. One is asked by
// one at a time: what OPA prepares a client with is one value for each service, and it is prepared
// anew each time, which is how certificates that were renewed are read.
func (s *services) ask(ctx context.Context, name string) (out image.Service, leave func(), err error) {
	s.mu.Lock()
	busy, ok := s.busy[name]
	if !ok {
		busy = make(chan struct{}, 1)
		s.busy[name] = busy
	}
	s.mu.Unlock()
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return image.Service{}, nil, fmt.Errorf("services.%s: it is asked for another bundle: %w", name, context.Cause(ctx))
	}
	if out, err = s.prepared(name); err != nil {
		<-busy
		return image.Service{}, nil, fmt.Errorf("services.%s: %w", name, err)
	}
	return out, func() {
		out.Client.CloseIdleConnections()
		<-busy
	}, nil
}

func (s *services) prepared(name string) (image.Service, error) {
	s.mu.Lock()
	client, ok := s.client[name]
	s.mu.Unlock()
	if !ok {
		return image.Service{}, errors.New("got none of that name, want one of services")
	}
	config := client.Config()
	plugin, err := config.AuthPlugin(client.AuthPluginLookup())
	if err != nil {
		return image.Service{}, fmt.Errorf("credentials: %w", err)
	}
	asks, err := plugin.NewClient(*config)
	if err != nil {
		return image.Service{}, err
	}
	return image.Service{URL: config.URL, Client: asks, Prepare: plugin.Prepare}, nil
}

// shaped holds a body to the bounds and to the shape of a bundle, and notes it.
func (b *bounds) shaped(request *http.Request, body []byte, tag string) error {
	for request.Response != nil && request.Response.Request != nil { // which led here
		request = request.Response.Request
	}
	at := request.URL.String()
	b.mu.Lock()
	discovery := b.discovery.at == at
	b.mu.Unlock()
	if discovery {
		return b.discovered(body)
	}
	read, err := archive.Read(body, b.limits)
	if err != nil {
		return err
	}
	b.note(at, body, tag, read.Delta)
	return nil
}

// carry has what OPA would read itself brought to it, of all sources that nobody else feeds.
func (h *sourcesHook) carry(sources []configured.Source, feeds map[string]Feed, blocks map[string]map[string]any, discovery *json.RawMessage) (map[string]carrier, error) {
	out := map[string]carrier{}
	for _, of := range sources {
		if _, fed := feeds[of.Name]; fed && !of.Discovery {
			continue
		}
		path, by, err := h.bounds.carried(of)
		if err != nil {
			return nil, err
		}
		if by == nil {
			continue
		}
		if out[path] = by; !of.Discovery {
			carrying(blocks[of.Name], path)
			continue
		}
		h.discovers = of.Service
		var block map[string]any
		if err := json.Unmarshal(*discovery, &block); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		carrying(block, path)
		if *discovery, err = json.Marshal(block); err != nil {
			return nil, err
		}
	}
	return out, nil
}
