package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assay-dev/assay/cmd/assay/plain"
)

// print writes the report in a form, table or json. What others wrote stays text.
func (r *Report) print(w io.Writer, form string, denials bool) error {
	if form == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	var out strings.Builder
	r.table(&out)
	r.failures(&out)
	r.candidates(&out)
	if denials {
		list(&out, "denied by policy", r.Denied.Policies)
		list(&out, "denied images", r.Denied.Images)
		list(&out, "denied in namespaces", r.Denied.Namespaces)
	}
	for _, one := range r.NotRead {
		fmt.Fprintf(&out, "not read: %s: %s\n", plain.Line(one.Object), plain.Line(one.Why))
	}
	if r.More > 0 {
		fmt.Fprintf(&out, "not read: %d more\n", r.More)
	}
	out.WriteString(r.headline() + "\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// table is a line for each bundle of each replica.
func (r *Report) table(out *strings.Builder) {
	if len(r.Replicas) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tREPLICA\tBUNDLE\tREVISION\tACTIVE FOR\tLAST OK\tDECISIONS\tDENIED\tLOST\tSTATE")
	for _, replica := range r.Replicas {
		bundles := replica.Bundles
		if len(bundles) == 0 {
			bundles = []Bundle{{Name: "-", Revision: "-", Age: -1}}
		}
		decisions, denied, lost := fmt.Sprint(replica.Decisions), fmt.Sprint(replica.Denials+replica.Undecided), fmt.Sprint(replica.lost())
		for _, b := range bundles {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", shown(replica.Cluster), shown(replica.Name), shown(b.Name), shown(b.Revision),
				r.ago(b.Activated), seconds(b.Age), decisions, denied, lost, states(replica.States, b.States))
			decisions, denied, lost = "", "", "" // they are the replica's, and said once
		}
	}
	_ = t.Flush() // into memory
}

func (r *Report) ago(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return seconds(int64(max(r.At.Sub(*t), 0).Seconds()))
}

// seconds is a time in one unit, as a person says it.
func seconds(n int64) string {
	switch {
	case n < 0:
		return "never"
	case n < 120:
		return fmt.Sprintf("%ds", n)
	case n < 120*60:
		return fmt.Sprintf("%dm", n/60)
	case n < 48*60*60:
		return fmt.Sprintf("%dh", n/60/60)
	}
	return fmt.Sprintf("%dd", n/60/60/24)
}

// states are what is wrong, each once.
func states(all ...[]State) string {
	var names []string
	for _, s := range slices.Concat(all...) {
		if !slices.Contains(names, string(s)) {
			names = append(names, string(s))
		}
	}
	if len(names) == 0 {
		return "ok"
	}
	return strings.Join(names, ",")
}

// failures say what is wrong in words.
func (r *Report) failures(out *strings.Builder) {
	for _, replica := range r.Replicas {
		where := plain.Line(replica.Cluster + "/" + replica.Name)
		for _, text := range replica.Failures {
			fmt.Fprintf(out, "%s: %s\n", where, plain.Line(text))
		}
		for _, b := range replica.Bundles {
			if b.Failure != "" {
				fmt.Fprintf(out, "%s: bundle %s: %s\n", where, plain.Line(b.Name), plain.Line(b.Failure))
			}
			switch {
			case slices.Contains(b.States, Expired):
				fmt.Fprintf(out, "%s: bundle %s: it expired at %s, and all is denied\n", where, plain.Line(b.Name), b.Expires.Format(time.RFC3339))
			case slices.Contains(b.States, Expiring):
				fmt.Fprintf(out, "%s: bundle %s: it expires at %s\n", where, plain.Line(b.Name), b.Expires.Format(time.RFC3339))
			}
		}
		for _, cause := range slices.Sorted(maps.Keys(replica.Losses)) {
			fmt.Fprintf(out, "%s: lost: %s: %d\n", where, plain.Line(cause), replica.Losses[cause])
		}
	}
	for _, c := range r.Clusters {
		if c.Replicas == 0 {
			fmt.Fprintf(out, "%s: none of its replicas is left: the last of %d stopped, or is gone\n", plain.Line(c.Name), c.Left)
		}
		if c.Lost > 0 {
			fmt.Fprintf(out, "%s: %d of %d decisions denied; at least %d more are in no log\n",
				plain.Line(c.Name), c.Denials+c.Undecided, c.Decisions, c.Lost)
		}
	}
}

func list(out *strings.Builder, what string, counts []Count) {
	fmt.Fprintln(out, what+":")
	for _, c := range counts {
		fmt.Fprintf(out, "  %6d  %s\n", c.Count, plain.Line(c.Name))
	}
	if len(counts) == 0 {
		fmt.Fprintln(out, "  none")
	}
}

func (r *Report) headline() string {
	clusters, wrong := map[string]bool{}, 0
	for _, replica := range r.Replicas {
		clusters[replica.Cluster] = true
		bad := len(replica.States) > 0
		for _, b := range replica.Bundles {
			bad = bad || len(b.States) > 0
		}
		if bad {
			wrong++
		}
	}
	left := ""
	if r.Stopped > 0 {
		left += fmt.Sprintf(", %d that stopped left out", r.Stopped)
	}
	if r.Gone > 0 {
		left += fmt.Sprintf(", %d that are gone left out", r.Gone)
	}
	text := fmt.Sprintf("%d replicas of %d clusters, %d not as they should be%s; %d decisions in %s, %d denied, %d of them without a decision",
		len(r.Replicas), len(clusters), wrong, left, r.Decisions, seconds(int64(r.At.Sub(r.Since).Seconds())), r.Denials+r.Undecided, r.Undecided)
	if lost := r.lost(); lost > 0 {
		text += fmt.Sprintf("; at least %d lost", lost)
	}
	return text
}
