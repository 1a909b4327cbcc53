package cloud

import (
	"net/http"
	"time"
)

// Through has the clouds reached over a transport, and told the time by a clock.
func (o Options) Through(clouds http.RoundTripper, now func() time.Time) Options {
	o.clouds, o.now = clouds, now
	return o
}

// CloudOf is whose a host is, "" for nobody's, and the region whose endpoint is asked.
func CloudOf(name string) (Cloud, string) {
	h, _ := parse(name)
	return h.cloud, h.region
}
