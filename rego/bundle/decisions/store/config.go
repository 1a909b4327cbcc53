package store

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/settings"
)

// Config is what the config file says, with the store opened.
type Config struct {
	store Store
	// place begins every name: PREFIX/CLUSTER/REPLICA/.
	place string
	// delay is how long an entry waits at most before its chunk is closed.
	delay time.Duration
	// timeout bounds one put.
	timeout time.Duration
	// chunk bounds the lines of a chunk, and held all that waits, in bytes.
	chunk, held int64
}

// Factory makes the plugin.
type Factory struct{ options Options }

var _ plugins.Factory = (*Factory)(nil)

// New is a factory of plugins. Requires options.Open.
func New(options Options) *Factory {
	if options.Observe == nil {
		options.Observe = func(outcome.Place, outcome.Result, int) {}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Factory{options}
}

// Validate implements [plugins.Factory].
func (f *Factory) Validate(m *plugins.Manager, config []byte) (any, error) {
	var url, prefix string
	delay, timeout, chunk, held := int64(30), int64(30), int64(4<<20), int64(32<<20)
	if err := settings.Read(Name, config, settings.Fields{
		"url": settings.Text(&url), "prefix": settings.Text(&prefix),
		"delay_seconds": settings.Number(&delay, 1, 3600), "timeout_seconds": settings.Number(&timeout, 1, 300),
		"chunk_size_limit_bytes": settings.Number(&chunk, 1<<10, 16<<20), "buffer_size_limit_bytes": settings.Number(&held, 1<<10, 1<<30),
	}); err != nil {
		return nil, err
	}
	if url == "" {
		return nil, fmt.Errorf("plugins.%s.url: got none, want that of a store", Name)
	}
	if held < chunk {
		return nil, fmt.Errorf("plugins.%s.buffer_size_limit_bytes: got %d, want at least chunk_size_limit_bytes, %d", Name, held, chunk)
	}
	place, err := placeOf(prefix, m.Labels())
	if err != nil {
		return nil, err
	}
	out := Config{
		place: place, chunk: chunk, held: held, delay: time.Duration(delay) * time.Second, timeout: time.Duration(timeout) * time.Second,
	}
	if out.store, err = f.options.Open(url); err != nil {
		return nil, fmt.Errorf("plugins.%s.url: %w", Name, err)
	}
	return out, fits(out.store, place)
}

// fits refuses a place that is too long for the store: every put would fail, for ever.
func fits(s Store, place string) error {
	holder, ok := s.(interface{ Holds(name string) error })
	if !ok {
		return nil
	}
	for _, name := range []string{place + "status.json", nameOf(place, time.Unix(0, 0).UTC())} {
		if err := holder.Holds(name); err != nil {
			return fmt.Errorf("plugins.%s.prefix, labels.cluster and labels.replica (or id): %s: %w", Name, name, err)
		}
	}
	return nil
}

// nameOf is the name of a chunk that was closed then.
func nameOf(place string, closed time.Time) string {
	return fmt.Sprintf("%sdecisions/%s-%09d.json.gz", place, closed.Format("2006/01/02/T150405Z"), closed.Nanosecond())
}

// New implements [plugins.Factory]. Requires a config of [Factory.Validate].
func (f *Factory) New(m *plugins.Manager, config any) plugins.Plugin {
	p := &Plugin{manager: m, options: f.options}
	p.buffer = newBuffer(config.(Config), f.options, m)
	p.handler = handler{buffer: p.buffer}
	m.UpdatePluginStatus(Name, &plugins.Status{State: plugins.StateNotReady})
	return p
}

// segment is what stands between the slashes of names: as long as a label of a host.
var segment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// placeOf is where a replica has its objects.
func placeOf(prefix string, labels map[string]string) (string, error) {
	const want = "want letters, digits, '.', '_' and '-', at most 63 and a letter or digit first"
	out := ""
	if prefix != "" {
		for part := range strings.SplitSeq(prefix, "/") {
			if !segment.MatchString(part) {
				return "", fmt.Errorf("plugins.%s.prefix: got %.200q, %s between slashes", Name, prefix, want)
			}
		}
		out = prefix + "/"
	}
	cluster, replica, named := labels["cluster"], labels["replica"], "replica"
	if replica == "" {
		replica, named = labels["id"], "id"
	}
	if cluster == "" {
		return "", fmt.Errorf("labels.cluster: got none, want the name under which %s writes", Name)
	}
	if !segment.MatchString(cluster) {
		return "", fmt.Errorf("labels.cluster: got %.100q, %s", cluster, want)
	}
	if !segment.MatchString(replica) {
		return "", fmt.Errorf("labels.%s: got %.100q, %s", named, replica, want)
	}
	return out + cluster + "/" + replica + "/", nil
}
