//! Tests of claims and announcements.

use super::*;

#[tokio::test]
async fn only_the_first_claim_is_granted() {
    let peers = Peers::alone();
    assert!(peers.claim(b"code", Duration::from_secs(60)).await);
    assert!(!peers.clone().claim(b"code", Duration::from_secs(60)).await);
    assert!(peers.claim(b"other", Duration::from_secs(60)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_exactly_one_wins() {
    let peers = Peers::alone();
    for round in 0..500_u32 {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let peers = peers.clone();
                tokio::spawn(async move { peers.claim(&round.to_be_bytes(), Duration::from_secs(60)).await })
            })
            .collect();
        let mut won = 0;
        for racer in racers {
            won += u32::from(racer.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}

#[test]
fn a_full_table_refuses_and_forgets_nothing() {
    let claims = Claims::new(100);
    let granted = (0..1000_u32).filter(|n| claims.claim(&n.to_be_bytes(), Duration::from_secs(600))).count();
    assert_eq!(granted, 100);
    assert!(!claims.claim(&0_u32.to_be_bytes(), Duration::from_secs(600)), "the oldest claim was forgotten");
}

#[test]
fn claims_that_come_to_nothing_do_not_fill_the_table() {
    let claims = Claims::new(10);
    for attempt in 0..1000_u32 {
        assert!(claims.claim(&attempt.to_be_bytes(), Duration::from_secs(3600)), "{attempt}");
        claims.release(&attempt.to_be_bytes());
        claims.release(b"never claimed");
    }
    assert!(claims.claim(b"good", Duration::from_secs(3600)));
    assert!(!claims.claim(b"good", Duration::from_secs(3600)));
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_free_again_when_its_time_is_over_and_not_before() {
    let claims = Claims::new(2);
    assert!(claims.claim(b"long", Duration::MAX));
    assert!(claims.claim(b"short", Duration::from_secs(60)));
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(!claims.claim(b"short", Duration::from_secs(60)));
    assert!(!claims.claim(b"third", Duration::from_secs(60)), "full");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(claims.claim(b"short", Duration::from_secs(60)));
    assert!(!claims.claim(b"long", Duration::from_secs(60)));
}

#[tokio::test]
async fn a_pair_hears_what_one_announces() {
    let (one, other) = Peers::pair();
    let mut heard = other.subscribe();
    one.announce(Announcement::SessionEnded { session: [7; 32], reason: "revoked" });
    assert_eq!(heard.next().await, Announcement::SessionEnded { session: [7; 32], reason: "revoked" });
}
