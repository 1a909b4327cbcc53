package world

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// host is all registries: each ggcr's, in memory, behind a counter and a brake.
// The one without a name is on a loopback port.
type host struct {
	name       string                  // of the registry that requests over the network reach
	registries map[string]http.Handler // by name; filled by newHost alone
	listener   net.Listener            // nil where all registries have names
	server     *http.Server

	mu       sync.Mutex
	requests []string
	latency  time.Duration
}

// newHost wants a description with defaults.
func newHost(d *Description) (*host, error) {
	silent := log.New(io.Discard, "", 0)
	h := &host{name: d.Registry, registries: map[string]http.Handler{}}
	h.server = &http.Server{Handler: h, ErrorLog: silent, ReadHeaderTimeout: time.Minute}
	names := []string{d.Registry}
	for _, image := range d.Images {
		names = append(names, image.Registry, image.EvidenceIn.Registry)
	}
	if slices.Contains(names, "") {
		var err error
		if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		h.name = cmp.Or(h.name, h.listener.Addr().String())
	}
	for _, name := range names {
		if name = cmp.Or(name, h.name); h.registries[name] == nil {
			h.registries[name] = registry.New(registry.Logger(silent), registry.WithReferrersSupport(d.Referrers != ReferrersTag))
		}
	}
	return h, nil
}

// registry is the one of that name, the empty one being on the loopback port.
func (h *host) registry(name string) http.Handler { return h.registries[cmp.Or(name, h.name)] }

// serve answers in the background until close.
func (h *host) serve() {
	if h.listener != nil {
		go func() { _ = h.server.Serve(h.listener) }()
	}
}

func (h *host) close() error {
	if h.listener == nil {
		return nil
	}
	// The listener too: before serve the server does not know it.
	err := errors.Join(h.server.Close(), h.listener.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ServeHTTP answers as the registry that the host is named for.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, r.URL.RequestURI(), h.registry(""))
}

// answer notes the request, waits as long as it should, and answers.
func (h *host) answer(w http.ResponseWriter, r *http.Request, noted string, content http.Handler) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+noted)
	latency := h.latency
	h.mu.Unlock()
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	if repository, ok := referrersOf(r); ok {
		serveReferrers(content, w, r, repository)
		return
	}
	content.ServeHTTP(w, r)
}

// referrersOf is /v2/NAME of a request for /v2/NAME/referrers/DIGEST.
func referrersOf(r *http.Request) (repository string, ok bool) {
	directory, name := path.Split(strings.TrimSuffix(path.Dir(r.URL.Path), "/"))
	return path.Clean(directory), r.Method == http.MethodGet && name == "referrers"
}

// serveReferrers corrects ggcr's list, which takes the artifact type from the
// configuration alone and has no order. By OCI distribution 1.1 the manifest's
// own artifactType comes first, and a test wants the order of its YAML.
func serveReferrers(content http.Handler, w http.ResponseWriter, r *http.Request, repository string) {
	var index manifest
	list := newAnswer()
	content.ServeHTTP(list, r)
	if list.status != http.StatusOK || json.Unmarshal(list.body.Bytes(), &index) != nil {
		list.replay(w)
		return
	}
	for n, d := range index.Manifests {
		var referrer manifest
		stored, request := newAnswer(), r.Clone(r.Context())
		request.URL.Path = repository + "/manifests/" + d.Digest
		content.ServeHTTP(stored, request)
		if json.Unmarshal(stored.body.Bytes(), &referrer) == nil && referrer.ArtifactType != "" {
			index.Manifests[n].ArtifactType = referrer.ArtifactType
		}
	}
	// pushBundles makes each a second younger than the one before.
	slices.SortFunc(index.Manifests, func(a, b descriptor) int {
		return cmp.Or(cmp.Compare(a.Annotations[createdAnnotation], b.Annotations[createdAnnotation]), cmp.Compare(a.Digest, b.Digest))
	})
	list.body.Reset()
	if err := json.NewEncoder(&list.body).Encode(index); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	list.header.Del("Content-Length")
	list.replay(w)
}

// Requests lists what was asked of the registry since the last
// [World.ResetRequests], as "METHOD /path?query", in the order of arrival; with
// the registry before the path where it was asked through [World.Transport].
// Making the world asks nothing.
func (w *World) Requests() []string {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	return slices.Clone(w.host.requests)
}

// ResetRequests empties the list of requests.
func (w *World) ResetRequests() {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	w.host.requests = nil
}

// SetLatency makes the registry wait before every answer, for tests that tell
// round trips in a row from those side by side.
func (w *World) SetLatency(d time.Duration) {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	w.host.latency = d
}

// Handler is the registry of [World.Registry], to be mounted elsewhere: behind TLS, or behind a
// handler that misbehaves. Its requests count.
func (w *World) Handler() http.Handler { return w.host }

// manifest is an image manifest or, with Manifests, an index.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config,omitzero"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// descriptor names content by digest, and has it at hand.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *v1.Platform      `json:"platform,omitempty"`

	content []byte
}

// shelf is one repository, written to without the network.
type shelf struct {
	registry   http.Handler
	repository string
}

func (s *shelf) pushBlob(mediaType string, content []byte) (descriptor, error) {
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content), content: content}
	return d, s.send(http.MethodPost, "blobs/uploads/?digest="+d.Digest, "application/octet-stream", content)
}

// pushManifest writes a manifest by its digest, and under the tag unless that is empty.
func (s *shelf) pushManifest(tag string, m manifest) (descriptor, error) {
	content, err := json.Marshal(m)
	if err != nil {
		return descriptor{}, fmt.Errorf("encode manifest: %w", err)
	}
	d := descriptor{MediaType: string(m.MediaType), Digest: digestOf(content), Size: len(content), content: content}
	if tag == "" {
		tag = d.Digest
	}
	return d, s.send(http.MethodPut, "manifests/"+tag, d.MediaType, content)
}

func (s *shelf) send(method, resource, contentType string, content []byte) error {
	_, err := s.ask(method, resource, contentType, content)
	return err
}

func (s *shelf) get(resource string) ([]byte, error) { return s.ask(http.MethodGet, resource, "", nil) }

func (s *shelf) ask(method, resource, contentType string, content []byte) ([]byte, error) {
	request, err := http.NewRequest(method, "/v2/"+s.repository+"/"+resource, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	answer := newAnswer()
	s.registry.ServeHTTP(answer, request)
	if answer.status >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: got status %d: %s", method, resource, answer.status, strings.TrimSpace(answer.body.String()))
	}
	return answer.body.Bytes(), nil
}

// answer is a response that stays in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}, status: http.StatusOK} }

// replay sends the answer out after all.
func (a *answer) replay(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client may have gone
}

func (a *answer) Header() http.Header            { return a.header }
func (a *answer) WriteHeader(status int)         { a.status = status }
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }
