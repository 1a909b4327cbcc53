package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/rego/bundle/configured"
)

// Feed has the bytes of a bundle that somebody else fetched, and vouches for. OPA gets them
// from memory, as from a server that it polls: what was verified is what is active.
type Feed interface {
	// Next waits until there are others than those of the tag, at most until ctx ends. It
	// gives those that there are, nil for none, with their tag.
	Next(ctx context.Context, than string) (body []byte, tag string)
}

const (
	// feedService is the service that feeds are of, and feedHost where nobody is.
	feedService = "assay-feeds"
	feedHost    = "feeds.assay.invalid"
	// longPoll is how long OPA waits for other bytes.
	longPoll = 5 * time.Minute
	// bundleType is what OPA takes for a server that it may wait for.
	bundleType = "application/vnd.openpolicyagent.bundles"
)

// feeding is the configuration of a bundle that comes from a feed. What OPA is to check of it
// beside stays. Another source has another path, so that OPA asks for it anew.
func feeding(bundle map[string]any, of configured.Source) (path string) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", of))
	path = fmt.Sprintf("fed/%s/%x", url.PathEscape(of.Name), sum[:8])
	for _, key := range []string{"trigger", "persist"} {
		delete(bundle, key)
	}
	bundle["service"], bundle["resource"] = feedService, path
	polling, _ := bundle["polling"].(map[string]any)
	if polling == nil {
		polling = map[string]any{}
	}
	polling["long_polling_timeout_seconds"] = int(longPoll / time.Second)
	bundle["polling"] = polling
	return path
}

// withFeeds are services with that of feeds among them. OPA takes them as a list, too.
func withFeeds(services json.RawMessage) (json.RawMessage, error) {
	of := map[string]any{"name": feedService, "url": "http://" + feedHost}
	var list []any
	if err := util.Unmarshal(services, &list); err == nil && list != nil {
		return json.Marshal(append(list, of))
	}
	byName := map[string]any{}
	if len(services) > 0 {
		if err := util.Unmarshal(services, &byName); err != nil {
			return nil, fmt.Errorf("services: %w", err)
		}
	}
	byName[feedService] = of
	return json.Marshal(byName)
}

// feed answers OPA's request for a bundle of a feed, and for one that is carried.
func (b *bounds) feed(request *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(request.URL.EscapedPath(), "/")
	feed, by := b.route(path)
	if by != nil {
		return b.bring(request, by)
	}
	out := answer(request)
	if feed == nil {
		return out, nil
	}
	had := strings.Trim(request.Header.Get("If-None-Match"), `"`)
	ctx, cancel := context.WithTimeout(request.Context(), longPoll)
	defer cancel()
	body, tag := feed.Next(ctx, had)
	if err := request.Context().Err(); err != nil {
		return nil, context.Cause(request.Context())
	}
	out.Header.Set("Content-Type", bundleType)
	out.Header.Set("ETag", tag)
	switch {
	case body == nil:
		return out, nil
	case tag == had:
		out.StatusCode = http.StatusNotModified
		return out, nil
	}
	out.StatusCode, out.ContentLength, out.Body = http.StatusOK, int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return out, nil
}

// answer is one without a bundle.
func answer(request *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusNotFound, Request: request, Body: http.NoBody, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}
