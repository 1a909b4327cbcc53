//go:build !nocloud

package wiring

import (
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestCredentialsOfCloudsStandBehindAllOthers, and are nobody's where no host is listed.
func TestCredentialsOfCloudsStandBehindAllOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		hosts []string
		with  oci.Credentials
		want  string
	}{
		{"no host", nil, oci.WebhookCredentials(), "webhook"},
		{"behind the docker configuration", []string{"gcr.io"}, oci.WebhookCredentials(), `"webhook" before "clouds [\"gcr.io\"]"`},
		{"behind nobody's", []string{"gcr.io"}, oci.Credentials{}, `clouds ["gcr.io"]`},
	} {
		flags := Flags{CloudCredentials: tt.hosts}
		clouds, err := flags.cloudCredentials(nil, Timeout, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &Wiring{clouds: clouds}
		if w.AskWith(tt.with); w.Credentials.ID != tt.want {
			t.Errorf("%s: got credentials of %s, want %s", tt.name, w.Credentials.ID, tt.want)
		}
	}
}
