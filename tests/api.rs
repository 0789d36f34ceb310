//! Smoke.

use slipring::spsc;

#[test]
fn smoke() {
    let name = format!("/slipring-t-{}", std::process::id());
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    let other = spsc::Ring::<u64>::open(&name).unwrap();
    let mut p = ring.producer().unwrap();
    println!("{}", other.producer().unwrap_err());
    let mut c = other.consumer().unwrap();
    for i in 0..100 {
        p.push(&i).unwrap();
        assert_eq!(c.pop().unwrap(), i);
    }
    for i in 0..4 {
        p.try_push(&i).unwrap();
    }
    println!("{:?}", p.try_push(&5));
    println!("{:?} {:?}", p, ring);
    drop(p);
    for i in 0..4 {
        assert_eq!(c.pop().unwrap(), i);
    }
    println!("{:?}", c.pop());
    println!("{:?}", spsc::Ring::<u32>::open(&name));
    println!("{:?}", spsc::Ring::<[u8]>::open(&name));
    slipring::unlink(&name).unwrap();
}
