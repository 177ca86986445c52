package servers

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// Cut has every packet between the host and the others dropped, both ways and without a word, until [LAN.Heal]. Connections stay
// open on both sides and nothing arrives on them.
func (l *LAN) Cut(ctx context.Context, h *Host, others ...*Host) error {
	var errs []error
	for _, o := range others {
		errs = append(errs,
			l.run(ctx, h, l.iptables, "-w -A INPUT -s "+o.Address+" -j DROP"),
			l.run(ctx, o, l.iptables, "-w -A INPUT -s "+h.Address+" -j DROP"))
	}
	return errors.Join(errs...)
}

// Heal lets all packets through again.
func (l *LAN) Heal(ctx context.Context) error {
	var errs []error
	for _, h := range l.Hosts {
		errs = append(errs, l.run(ctx, h, l.iptables, "-w -F INPUT"))
	}
	return errors.Join(errs...)
}

// Dropped returns how many packets have been dropped since the last cut, by the count of the rules that drop them.
func (l *LAN) Dropped(ctx context.Context) (sum int64, err error) {
	for _, h := range l.Hosts {
		rules, err := l.output(ctx, h, l.iptables, "-w -nvxL INPUT")
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(rules) {
			if f := strings.Fields(line); len(f) > 2 && f[2] == "DROP" {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				sum += n
			}
		}
	}
	return sum, nil
}
