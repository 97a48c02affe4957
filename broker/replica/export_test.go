package replica

import "slices"

// ISR returns the committed ISR and whether a change of it is pending; nil if this broker does not lead.
func (p *Partition) ISR() (members []int32, pending bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() {
		return nil, false
	}
	return slices.Clone(p.mu.lead.ISR()), p.mu.lead.Pending() != nil
}
