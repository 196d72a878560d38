//! Places, schedules and the lifetimes of step-ups.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::{Build, label};
use crate::document::At;
use crate::facts::AuthContext;
use crate::policy::text::file::{self, Rules};
use crate::policy::{Place, Schedule};

impl Build<'_> {
    pub(super) fn lifetimes(&mut self, written: &BTreeMap<String, At<String>>) {
        for (context, text) in written {
            let span = self.span("lifetimes", context, text);
            match AuthContext::parse(context) {
                Some(context) => {
                    self.lifetimes.insert(context, span);
                }
                None => {
                    let message = "expected authentication contexts, \"c1\" to \"c99\"";
                    self.add("lifetimes", &format!("\"{}\"", context.escape_debug()), text, message);
                }
            }
        }
    }

    pub(super) fn scopes(&mut self, file: &Rules) {
        for written in &file.place {
            let label = label("place", &written.name);
            self.name(&label, &written.name);
            if self.places.iter().any(|place| *place.name == **written.name) {
                self.add(&label, "name", &written.name, "an earlier place has the same name");
            }
            let networks = self.networks(&label, &written.networks);
            self.places.push(Arc::new(Place::new(&written.name, &networks)));
        }
        for written in &file.schedule {
            let label = label("schedule", &written.name);
            self.name(&label, &written.name);
            if self.schedules.iter().any(|schedule| *schedule.name == **written.name) {
                self.add(&label, "name", &written.name, "an earlier schedule has the same name");
            }
            let schedule = self.schedule(&label, written);
            self.schedules.push(Arc::new(schedule));
        }
    }

    fn networks(&mut self, label: &str, written: &At<Vec<At<String>>>) -> Vec<IpNet> {
        if written.is_empty() {
            self.add(label, "networks", written, "expected at least one network such as 192.0.2.0/24");
        }
        let mut networks = Vec::with_capacity(written.len());
        for text in written.iter() {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(message) => self.add(label, "networks", text, &message),
            }
        }
        networks
    }

    fn schedule(&mut self, label: &str, written: &file::Schedule) -> Schedule {
        let mut days = [written.days.is_none(); 7];
        if let Some(list) = &written.days {
            self.not_empty(label, "days", list);
            for day in list.iter() {
                if let Some(on) = days.get_mut(**day as usize) {
                    *on = true;
                }
            }
        }
        let (from, to) = (self.minute(label, "from", &written.from), self.minute(label, "to", &written.to));
        if from.is_some() && from == to {
            let message = "the window is empty; leave both \"from\" and \"to\" out for the whole day";
            self.add(label, "to", &written.to, message);
        }
        if from == Some(24 * 60) {
            self.add(label, "from", &written.from, "expected a time before \"24:00\"");
        }
        let zone = TimeZone::get(&written.time_zone).unwrap_or_else(|_| {
            let message = format!(
                "expected a time zone of the IANA database such as \"Europe/Berlin\" or \"UTC\", got \"{}\"",
                written.time_zone.value()
            );
            self.add(label, "time_zone", &written.time_zone, &message);
            TimeZone::UTC
        });
        Schedule::new(&written.name, days, (from.unwrap_or(0), to.unwrap_or(0)), zone)
    }

    /// Minutes since midnight of `HH:MM`.
    fn minute(&mut self, label: &str, key: &str, text: &At<String>) -> Option<u16> {
        let minute = clock(text);
        if minute.is_none() {
            let message = format!("expected a time such as \"08:30\", at most \"24:00\", got \"{}\"", text.value());
            self.add(label, key, text, &message);
        }
        minute
    }
}

fn clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| plain)
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes).filter(|minute| *minute <= 24 * 60)
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match network {
        Some(network) if network.trunc() == network => Ok(network),
        Some(network) => {
            let meant = network.trunc();
            Err(format!(
                "\"{text}\" is an address within a network, did you mean \"{meant}\" or \"{}\"?",
                network.addr()
            ))
        }
        None => Err(format!("expected a network such as 192.0.2.0/24 or an address, got \"{text}\"")),
    }
}
